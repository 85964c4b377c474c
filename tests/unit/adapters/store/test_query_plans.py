"""The queries that run all the time are ranges of an index: what they cost does not grow with what is not due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from coordinator.adapters.bitcoin.reservations import Reservations
from coordinator.adapters.store.prefixes import begins_with
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.adapters.store.tables import reservation
from coordinator_core.units import UnixTime

LIMITS = {"lightning": 4, "chain": 2}


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    async with opened.write() as tx:
        for number in range(50):
            lane = f"lane-{number}"
            await tx.create_lane(lane, b"{}", "created", UnixTime(0))
            kinds = ("ln.settle", "ln.create_invoice", "chain.bump")
            wanted = {f"{lane}/{kind}": (kind.split(".")[0].replace("ln", "lightning"), kind, b"{}") for kind in kinds}
            await tx.want_duties(lane, wanted, 0.0)
            await tx.notify(lane, number % 7, "test", lane, "news", UnixTime(0))
    async with opened.write_connection() as connection:
        await connection.exec_driver_sql("ANALYZE")
    yield opened
    await opened.close()


@pytest.fixture
def asked(store: SqliteStore) -> list[tuple[str, Any]]:
    """Statements with what they were asked with, as the database gets them."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    for engine in (store._reader, store._writer):
        event.listen(engine.sync_engine, "before_cursor_execute", note)
    return statements


async def plans(store: SqliteStore, asked: list[tuple[str, Any]]) -> list[str]:
    found: list[str] = []
    for statement, parameters in list(asked):
        async with store.read_connection() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.extend(row[3] for row in rows)
    return found


async def test_looking_for_duties(store: SqliteStore, asked: list[tuple[str, Any]]) -> None:
    assert len(await store.due(1.0, LIMITS, {"lightning": {"lane-1", "lane-2"}})) == 40
    lines = await plans(store, asked)
    ranges = [line for line in lines if "duty" in line and "SEARCH" in line]
    assert len(ranges) == 8
    assert all("INDEX duty_claim (channel=? AND urgency=? AND due_at<?)" in line for line in ranges)
    assert not [line for line in lines if "SCAN duty" in line or "TEMP B-TREE" in line]


async def test_claiming(store: SqliteStore, asked: list[tuple[str, Any]]) -> None:
    async with store.write() as tx:
        rows = await tx.claim(1.0, 30.0, "me", LIMITS)
        assert len(rows) == 6
        assert len(await tx.extend("me", 60.0, [row.id for row in rows])) == 6
    statements = [one for one in asked if "duty" in one[0]]
    lines = await plans(store, statements)
    assert len(statements) == 3
    assert not [line for line in lines if "SCAN duty" in line]


async def test_looking_for_news(store: SqliteStore, asked: list[tuple[str, Any]]) -> None:
    assert len(await store.news(3)) == 21
    lines = [line for line in await plans(store, asked) if "inbox" in line]
    assert lines == ["SEARCH inbox USING INDEX inbox_new (prio=?)"] * 7


async def test_what_the_wallet_reads(store: SqliteStore, asked: list[tuple[str, Any]]) -> None:
    wallet = Reservations(store)
    assert [await wallet.address_number("lane-1", purpose) for purpose in ("change", "sweep", "change")] == [0, 1, 0]
    asked.clear()
    await wallet.address_numbers()
    await wallet.coins()
    await store.reserved_coins()
    lines = await plans(store, [one for one in asked if "reservation" in one[0]])
    assert len(lines) == 3
    assert all("SEARCH reservation USING" in line and "(resource>? AND resource<?)" in line for line in lines)


async def test_names_that_begin_alike(store: SqliteStore) -> None:
    names = ["coin:", "coin:a:0", "coin:\U0010ffff", "Coin:a:0", "coin", "coin;", "coinage:1", "address:0"]
    query = select(reservation.c.resource).where(begins_with(reservation.c.resource, "coin:"))
    async with store.write_connection() as connection:
        rows = [{"resource": name, "lane": "lane-1", "purpose": "test", "value": None} for name in names]
        await connection.execute(insert(reservation), rows)
        assert sorted(await connection.scalars(query)) == sorted(name for name in names if name.startswith("coin:"))
