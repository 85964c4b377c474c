"""Whoever is cancelled within a transaction, at any statement of it, leaves the database to the next one."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.store.sqlite import SqliteStore

ROUNDS = 60
WRITERS, SLOTS = 3, 5
STEPS = WRITERS * (SLOTS + 2)
"""Of the writers of a round together: each begins, writes and commits."""


@pytest.fixture
async def store(new_database: Path):
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


class Steps:
    """Tells the moment at which writers are about to do one step more."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._reached = asyncio.Event()

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._reached.set()

    async def reached(self) -> None:
        async with asyncio.timeout(10):
            await self._reached.wait()


async def write(store: SqliteStore, name: str, step: Callable[[], None] = lambda: None) -> None:
    step()
    async with store.write() as tx:
        for slot in range(SLOTS):
            step()
            await tx.pin(name, str(slot), b"value")
        step()


async def test_a_cancelled_writer_locks_nobody_out_and_writes_all_or_nothing(
    store: SqliteStore,
) -> None:
    rng = random.Random(7)
    cancelled = 0
    for number in range(ROUNDS):
        steps = Steps(rng.randint(1, STEPS))
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(write(store, f"{number}/{n}", steps.step)) for n in range(WRITERS)
        ]
        tasks.append(asyncio.create_task(store.lanes()))
        await steps.reached()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(isinstance(end, asyncio.CancelledError) for end in ends)
        assert not [end for end in ends if isinstance(end, Exception)]
        # One that is locked out waits for five seconds, then raises.
        await write(store, f"{number}/after")
    assert cancelled > ROUNDS
    async with store.read_connection() as connection:
        counts = list(await connection.exec_driver_sql("SELECT duty, count(*) FROM pin GROUP BY duty"))
    assert {count for _, count in counts} == {SLOTS}
    assert len([duty for duty, _ in counts if duty.endswith("after")]) == ROUNDS


async def test_a_loop_that_is_stopped_in_the_middle_leaves_no_transaction(
    store: SqliteStore, new_database: Path
) -> None:
    async def for_ever(steps: Steps) -> None:
        number = 0
        while True:
            number += 1
            await write(store, f"loop/{number}", steps.step)

    for number in range(1, 2 * (SLOTS + 2)):
        steps = Steps(number)
        loop = asyncio.create_task(for_ever(steps))
        await steps.reached()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        other = sqlite3.connect(new_database, timeout=2.0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            assert other.in_transaction, "nobody holds the lock any more"
            other.execute("ROLLBACK")
        finally:
            other.close()
