"""A service that does not answer leaves a record, so that the windows of the closing wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from coordinator.domain.facts import Outage
from coordinator.engine.duty import Outcome, Task
from coordinator.engine.worker import Worker
from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.errors import Fault
from tests.support import lanes as b

KIND = "oracle.create_event"
Execute = Callable[[Task[Any]], Awaitable[Outcome]]


@pytest.fixture
async def lane(house: Any) -> str:
    name = await house.lane(b.event_created(), *b.seats())
    await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (KIND,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (KIND,))
    return name


async def outages_after(house: Any, error: Exception) -> tuple[Outage, ...]:
    async def execute(task: Task[Any]) -> Outcome:
        raise error

    task = asyncio.create_task(Worker(house.store, house.clockwork, house.wakeups, {KIND: execute}).run())
    try:
        async with asyncio.timeout(10):
            await house.wakeups.apply.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    record = await house.store.lane(b.LANE)
    return record.facts.all(Outage)


async def test_an_unreachable_oracle_is_an_outage_until_the_next_try(house: Any, lane: str) -> None:
    (outage,) = await outages_after(house, Unreachable("oracle", "away", fault=Fault.ORACLE, retry_after=40.0))
    assert (outage.service, outage.until - outage.since) == ("oracle", 40)


@pytest.mark.parametrize("error", [Rejected("oracle", "no", fault=Fault.ORACLE), ZeroDivisionError("a defect")])
async def test_a_refusal_is_none(house: Any, lane: str, error: Exception) -> None:
    assert await outages_after(house, error) == ()
