"""Whoever is cancelled within a transaction, at any statement of it, leaves the database to the next one."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.store.sqlite import SqliteStore

ROUNDS = 60
LONGEST = 0.01
"""Seconds: about what the writers of a round take together."""


@pytest.fixture
async def store(new_database: Path):
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


async def write(store: SqliteStore, name: str) -> None:
    async with store.write() as tx:
        for slot in range(5):
            await tx.pin(name, str(slot), b"value")


async def test_a_cancelled_writer_locks_nobody_out_and_writes_all_or_nothing(
    store: SqliteStore,
) -> None:
    rng = random.Random(7)
    cancelled = 0
    for number in range(ROUNDS):
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(write(store, f"{number}/{n}")) for n in range(3)]
        tasks.append(asyncio.create_task(store.lanes()))
        await asyncio.sleep(rng.uniform(0, LONGEST))
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
    assert {count for _, count in counts} == {5}
    assert len([duty for duty, _ in counts if duty.endswith("after")]) == ROUNDS


async def test_a_loop_that_is_stopped_in_the_middle_leaves_no_transaction(
    store: SqliteStore, new_database: Path
) -> None:
    async def for_ever() -> None:
        number = 0
        while True:
            number += 1
            await write(store, f"loop/{number}")

    for _ in range(10):
        loop = asyncio.create_task(for_ever())
        await asyncio.sleep(LONGEST)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        other = sqlite3.connect(new_database, timeout=2.0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        finally:
            other.close()
