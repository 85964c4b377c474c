"""Another program holds the write lock: a short while nobody notices, a long while it is an error that passes."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from coordinator.adapters.store import sqlite
from coordinator.adapters.store.sqlite import SqliteStore


async def write(store: SqliteStore, name: str) -> None:
    async with store.write() as tx:
        await tx.pin(name, "slot", b"value")


async def test_writers_wait_for_it_without_an_error(new_database: Path) -> None:
    store = await SqliteStore.open(new_database)
    with closing(sqlite3.connect(new_database, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(write(store, str(n))) for n in range(5)]
        # Reads go on meanwhile.
        assert await store.pinned("0", "slot") is None
        assert not any(task.done() for task in waiting)
        foreign.execute("ROLLBACK")
        await asyncio.gather(*waiting)
    assert await store.pinned("4", "slot") == b"value"
    await store.close()


async def test_one_that_is_held_for_too_long_is_an_error_and_then_over(
    new_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 20)
    store = await SqliteStore.open(new_database)
    with closing(sqlite3.connect(new_database, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(OperationalError, match="locked"):
                await write(store, "one")
        assert await store.pinned("one", "slot") is None
        foreign.execute("ROLLBACK")
    await write(store, "one")
    assert await store.pinned("one", "slot") == b"value"
    await store.close()
