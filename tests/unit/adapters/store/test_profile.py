"""How the database is used: flushed at each commit, written in proportion to what changed, forgotten after its time."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.store.retention import KEPT_BLOCKS
from coordinator.adapters.store.sqlite import WAL_BYTES, WAL_PAGES, SqliteStore
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.retention import AGES, BATCH, Retention
from coordinator.ports.following import Watch
from coordinator.ports.operating import Leftover
from coordinator.ports.timing import Wake
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.ports import Clock

NOW = UnixTime(100 * 86_400)
STATE = b'{"state":"created"}'
DUTY = ("chain", "chain.x", b"{}")


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    async with opened.write() as tx:
        for lane in ("open", "ended"):
            await tx.create_lane(lane, STATE, "created", UnixTime(0))
    yield opened
    await opened.close()


async def written(store: SqliteStore) -> int:
    """Rows that the writer wrote since it was opened."""
    async with store.write_connection() as connection:
        return int((await connection.exec_driver_sql("SELECT total_changes()")).scalar())


async def rows(store: SqliteStore, query: str) -> list[tuple[Any, ...]]:
    async with store.read_connection() as connection:
        return [tuple(row) for row in await connection.exec_driver_sql(query)]


async def pragma(connection: Any, name: str) -> Any:
    return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()


async def test_every_commit_is_flushed_and_the_writer_alone_moves_the_journal(store: SqliteStore) -> None:
    async with store.write_connection() as connection:
        full, wal, keys = 2, "wal", 1
        assert await pragma(connection, "synchronous") == full
        assert await pragma(connection, "journal_mode") == wal
        assert await pragma(connection, "foreign_keys") == keys
        assert await pragma(connection, "wal_autocheckpoint") == WAL_PAGES
        assert await pragma(connection, "journal_size_limit") == WAL_BYTES
        assert await pragma(connection, "mmap_size") == 0
    async with store.read_connection() as connection:
        assert await pragma(connection, "query_only") == 1


async def test_database_and_lock_are_their_owners_alone_and_a_clean_end_leaves_no_journal(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        store = await SqliteStore.open(tmp_path / "data" / "coordinator.db")
    finally:
        os.umask(old)
    async with store.write() as tx:
        await tx.put_blob(b"x")
    files = sorted((tmp_path / "data").iterdir())
    assert {path.name for path in files} >= {"coordinator.db", "coordinator.db-wal", "coordinator.lock"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    await store.close()
    journal = tmp_path / "data" / "coordinator.db-wal"
    assert not journal.exists() or journal.stat().st_size == 0


async def follow(store: SqliteStore, duties: set[str], protective: set[str], wake: Wake, *watches: Watch) -> None:
    async with store.write() as tx:
        await tx.want_duties("open", dict.fromkeys(duties, DUTY), 5.0, protective)
        await tx.set_wake("open", wake)
        await tx.set_watches("open", dict.fromkeys(watches, Height(1)))


async def test_what_stays_as_it_is_costs_no_write(store: SqliteStore) -> None:
    wake = Wake(wall=UnixTime(7), height=Height(9))
    watches = (Watch("t", "aa"), Watch("o", "bb:0"))
    await follow(store, {"a", "b"}, {"a"}, wake, *watches)
    before = await written(store)
    for _ in range(50):
        await follow(store, {"a", "b"}, {"a"}, wake, *watches)
    assert await written(store) == before


async def test_a_change_costs_what_it_changes(store: SqliteStore) -> None:
    await follow(store, {"a", "b"}, set(), Wake(wall=UnixTime(7), height=Height(9)), Watch("t", "aa"))
    before = await written(store)
    await follow(store, {"a", "c"}, {"a"}, Wake(wall=UnixTime(8), height=Height(9)), Watch("t", "aa"), Watch("t", "cc"))
    # One obsolete, one new, one other class; one timer; one watch.
    assert await written(store) - before == 5
    assert await rows(store, "SELECT id, status, protective FROM duty ORDER BY id") == [
        ("a", "open", 1),
        ("b", "obsolete", 0),
        ("c", "open", 0),
    ]
    assert await rows(store, "SELECT name, due FROM timer ORDER BY name") == [("height", 9), ("wall", 8)]
    assert await rows(store, "SELECT key, backfilled FROM watch ORDER BY key") == [("aa", 0), ("cc", 0)]


async def fill(store: SqliteStore, at: int) -> None:
    """Something of every kind in both competitions, done at a time."""
    async with store.write() as tx:
        for lane in ("open", "ended"):
            await tx.put_facts(lane, [b.ticket("entry-1")], "test", UnixTime(at))
            await tx.set_watches(lane, {Watch("t", f"{lane}{at}"): Height(1)})
            await tx.want_duties(lane, {f"{lane}/{at}": DUTY, f"{lane}/x{at}": DUTY}, 0.0)
            for row in await tx.claim(0.0, 30.0, "me", {"chain": 1}):
                await tx.complete(row, "open", 0.0, "an error", float(at))
                [again] = await tx.claim(0.0, 30.0, "me", {"chain": 1})
                await tx.complete(again, "done", 0.0, None, float(at))
            await tx.notify(lane, 5, "timer", f"{lane}{at}", "timer", UnixTime(at))
            await tx.finish_inbox(lane, UnixTime(at))
            seq = await tx.notify(lane, 4, "api", f"{lane}{at}", "reserve", UnixTime(at))
            assert seq is not None
            await tx.answer(seq, b"{}", UnixTime(at))
            await tx.notify(lane, 4, "api", f"parked{lane}{at}", "x", UnixTime(at))
            await tx.park_inbox(lane, "later", UnixTime(at))
            await tx.pin(f"{lane}/{at}", "slot", b"value")


@pytest.fixture
async def aged(store: SqliteStore) -> SqliteStore:
    """What is a hundred days old, and what is from today; one competition ended as long ago."""
    for at in (0, NOW):
        await fill(store, at)
    async with store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE lane SET terminal_at = 0 WHERE id = 'ended'")
        await connection.exec_driver_sql(BLOCKS.format(first=1, last=KEPT_BLOCKS + 9, time=0))
        for key, cleared in (("over", 0), ("just over", NOW), ("lasts", None)):
            await connection.exec_driver_sql("INSERT INTO alert VALUES (?, 's', 0, 0, 1, 0, ?)", (key, cleared))
    return store


BLOCKS = """INSERT INTO chain_block (height, hash, prev, time, median_time)
WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
SELECT i, 'hash ' || i, 'hash ' || (i - 1), {time}, {time} FROM n"""


async def sweep(store: SqliteStore) -> Any:
    clock = Clock()
    clock.seconds = NOW
    return await Retention(store, Clockwork(clock, store, chain_time=False)).sweep()


async def test_only_what_nobody_needs_is_forgotten(aged: SqliteStore) -> None:
    kept = "SELECT 'fact', lane, kind, key FROM fact UNION SELECT 'pin', duty, slot, '' FROM pin"
    before = await rows(aged, kept)
    gone = await sweep(aged)
    assert set(gone) == set(Leftover) == set(AGES)
    assert all(gone.values())
    assert await rows(aged, kept) == before
    left = await rows(aged, "SELECT lane, source, status, done_at FROM inbox ORDER BY lane, source, status, done_at")
    assert left == [
        # Answers of the one that ended go a month after its end, whatever is not done stays.
        ("ended", "api", 1, NOW),
        ("ended", "api", 2, 0),
        ("ended", "api", 2, NOW),
        ("ended", "timer", 1, NOW),
        ("open", "api", 1, 0),
        ("open", "api", 1, NOW),
        ("open", "api", 2, 0),
        ("open", "api", 2, NOW),
        ("open", "timer", 1, NOW),
    ]
    duties = await rows(aged, "SELECT lane, status, done_at FROM duty ORDER BY lane, status, done_at")
    assert {row for row in duties if row[0] == "ended"} <= {("ended", "open", None), ("ended", "done", NOW)}
    assert ("open", "done", 0) in duties
    assert await rows(aged, "SELECT DISTINCT ended_at FROM duty_attempt") == [(float(NOW),)]
    assert await rows(aged, "SELECT DISTINCT lane FROM watch") == [("open",)]
    assert await rows(aged, "SELECT key FROM alert ORDER BY key") == [("just over",), ("lasts",)]
    assert await rows(aged, "PRAGMA foreign_key_check") == []


async def test_headers_that_a_reorg_may_reach_or_that_hold_something_stay(store: SqliteStore) -> None:
    deep = KEPT_BLOCKS + 20
    async with store.write_connection() as connection:
        await connection.exec_driver_sql(BLOCKS.format(first=1, last=deep - 1, time=0))
        await connection.exec_driver_sql(BLOCKS.format(first=deep, last=deep, time=NOW))
        await connection.exec_driver_sql("UPDATE chain_block SET time = ? WHERE height = 7", (NOW,))
        hit = "INSERT INTO chain_hit (block_hash, lane, keytype, key, txid) VALUES ('hash 5', 'open', 't', 'x', 'x')"
        await connection.exec_driver_sql(hit)
    assert (await sweep(store))[Leftover.BLOCKS] == 19 - 2
    kept = [row[0] for row in await rows(store, "SELECT height FROM chain_block ORDER BY height")]
    assert kept == [5, 7, *range(20, deep + 1)]
    record = await store.lane("open")
    assert record is not None
    assert record.confirmed == {"x": 5}


async def test_a_second_sweep_finds_nothing_and_writes_nothing(aged: SqliteStore) -> None:
    await sweep(aged)
    before = await written(aged)
    assert not any((await sweep(aged)).values())
    assert await written(aged) == before


async def test_a_sweep_works_in_batches(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store.write() as tx:
        for number in range(BATCH + 7):
            await tx.notify("open", 5, "timer", str(number), "timer", UnixTime(0))
        await tx.finish_inbox("open", UnixTime(0))
    retired: list[int] = []
    retire = store.retire

    async def counted(what: Leftover, before: UnixTime, limit: int) -> int:
        retired.append(await retire(what, before, limit))
        return retired[-1]

    monkeypatch.setattr(store, "retire", counted)
    assert (await sweep(store))[Leftover.NEWS] == BATCH + 7
    assert retired[:3] == [BATCH, 7, 0]
