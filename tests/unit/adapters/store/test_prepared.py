"""Statements that are compiled once: what is missing is an error, and what is read together belongs together."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from coordinator.adapters.store import statements as st
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prepared import Prepared, in_one_trip, with_next_trip
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.units import UnixTime

PUT = Prepared(insert(t.pin))
EMPTY = Prepared(update(t.pin).where(t.pin.c.duty == bindparam("of")).values(value=b"", slot="fixed"))


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


@pytest.fixture
def raw() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE pin (duty TEXT, slot TEXT, value BLOB)")
    return connection


def test_values_are_given_by_name(raw: sqlite3.Connection) -> None:
    assert PUT.run_many(raw, ({"value": b"v", "duty": name, "slot": "s"} for name in "ab")) == 2
    assert EMPTY.run(raw, {"of": "a"}).rowcount == 1
    rows = raw.execute("SELECT duty, slot, value FROM pin ORDER BY duty").fetchall()
    assert rows == [("a", "fixed", b""), ("b", "s", b"v")]


def test_a_value_that_is_missing_is_never_made_up(raw: sqlite3.Connection) -> None:
    with pytest.raises(KeyError, match="slot"):
        PUT.run(raw, {"duty": "a", "value": b"v"})
    assert raw.execute("SELECT * FROM pin").fetchall() == []


async def test_what_fails_in_a_trip_fails_its_transaction(store: SqliteStore) -> None:
    def broken(raw: sqlite3.Connection) -> None:
        PUT.run(raw, {"duty": "a", "slot": "s", "value": b"v"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with store.write() as tx:
            await in_one_trip(tx._c, broken)
    assert await store.pinned("a", "s") is None


def pinning(duty: str) -> Callable[[sqlite3.Connection], object]:
    return lambda raw: PUT.run(raw, {"duty": duty, "slot": "s", "value": b"v"})


async def test_what_rides_is_there_for_the_next_read_and_after_the_commit(store: SqliteStore) -> None:
    async with store.write() as tx:
        await with_next_trip(tx._c, pinning("a"))
        assert await tx.count("pin") == 1
        await with_next_trip(tx._c, pinning("b"))
    assert (await store.pinned("a", "s"), await store.pinned("b", "s")) == (b"v", b"v")


async def test_what_fails_as_it_rides_fails_the_commit(store: SqliteStore) -> None:
    async def twice() -> None:
        async with store.write() as tx:
            await with_next_trip(tx._c, pinning("a"))
            await with_next_trip(tx._c, pinning("a"))

    with pytest.raises(IntegrityError):
        await twice()
    assert await store.pinned("a", "s") is None
    async with store.write() as tx:
        await with_next_trip(tx._c, pinning("a"))
    assert await store.pinned("a", "s") == b"v"


async def test_a_rollback_drops_what_would_have_ridden(store: SqliteStore) -> None:
    async def broken() -> None:
        async with store.write() as tx:
            await with_next_trip(tx._c, pinning("a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    async with store.write() as tx:
        assert await tx.count("pin") == 0


async def test_a_lane_is_read_as_of_one_moment(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its state and its facts nothing can come: the reads share a transaction."""
    async with store.write() as tx:
        await tx.create_lane("lane", b"{}", "created", UnixTime(0))
    inside: list[bool] = []
    load = st.LOAD_FACTS.run

    def watched(raw: sqlite3.Connection, values: dict[str, str]) -> sqlite3.Cursor:
        inside.append(raw.in_transaction)
        return load(raw, values)

    monkeypatch.setattr(st.LOAD_FACTS, "run", watched)
    assert await store.lane("lane") is not None
    async with store.write() as tx:
        assert await tx.load("lane") is not None
        assert await tx.load("other") is None
    assert inside == [True, True]
    async with store.read_connection() as connection:
        assert not await in_one_trip(connection, lambda raw: raw.in_transaction)
