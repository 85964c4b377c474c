"""Rules of the one database that others' mistakes taught: numbers, locks, and looks that cost nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from coordinator.adapters.store import sqlite
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.units import Height, UnixTime

NOW = UnixTime(1_000)
BRIEF = 50
"""Milliseconds that a writer waits for a lock in a test that wants it to give up."""
LOOK = 0.3
"""Seconds after which a writer that does not wait for the lock has failed for long."""


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    async with opened.write() as tx:
        await tx.create_lane("lane", b"{}", "created", NOW)
    yield opened
    await opened.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes to the file: a backup tool, a person at a prompt."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


async def notify(store: SqliteStore, key: str) -> int:
    async with store.write() as tx:
        number = await tx.notify("lane", 0, "test", key, "kind", NOW)
    assert number is not None
    return number


@pytest.mark.parametrize("table", ["inbox", "transition", "audit"])
async def test_numbers_of_rows_are_never_used_again(store: SqliteStore, table: str) -> None:
    """A row that retention removed must not give its number to the next one: it would be taken for the old."""
    async with store.write_connection() as connection:
        made = (await connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'")).scalar()
    assert "AUTOINCREMENT" in str(made)


async def test_a_number_of_the_inbox_that_was_forgotten_is_not_given_again(store: SqliteStore) -> None:
    last = [await notify(store, str(n)) for n in range(3)][-1]
    async with store.write_connection() as connection:
        await connection.exec_driver_sql("DELETE FROM inbox")
    assert await notify(store, "next") == last + 1


async def test_a_writer_waits_for_a_lock_of_somebody_else(store: SqliteStore, new_database: Path) -> None:
    with locked(new_database):
        waiting = asyncio.create_task(notify(store, "a"))
        done, _ = await asyncio.wait({waiting}, timeout=LOOK)
        assert not done
    async with asyncio.timeout(10):
        assert await waiting


@pytest.fixture
async def impatient(new_database: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", BRIEF)
    opened = await SqliteStore.open(new_database)
    async with opened.write() as tx:
        await tx.create_lane("lane", b"{}", "created", NOW)
    yield opened
    await opened.close()


async def test_a_transaction_that_cannot_begin_frees_the_lock(impatient: SqliteStore, new_database: Path) -> None:
    with locked(new_database), pytest.raises(OperationalError, match="locked"):
        await notify(impatient, "a")
    async with asyncio.timeout(10):
        assert await notify(impatient, "a")


async def test_looking_for_work_takes_no_write_lock(store: SqliteStore) -> None:
    """An idle engine looks twice a second: its looks must not stand in the way of a writer, nor wait for one."""
    await notify(store, "a")
    async with store.write() as tx:
        await tx.want_duties("lane", {"lane/x": ("chain", "x", b"{}")}, 0.0)
        async with asyncio.timeout(10):
            assert [one.lane for one in await store.news(9)] == ["lane"]
            assert not await store.due(9e9, {"ln": 1})
            assert not await store.timer_due(NOW, NOW, Height(9))
            assert await store.lane("lane") is not None
