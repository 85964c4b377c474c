"""The Store port: what every database has to keep, run on SQLite."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.adapters.store.transaction import StaleRevision
from coordinator.domain import facts as f
from coordinator.domain.facts import Fact, HoldState
from coordinator.ports.auditing import Moments
from coordinator.ports.bitcoin import Block
from coordinator.ports.money import OpenBook, ReservedCoin
from coordinator.ports.operating import Act
from coordinator.ports.store import BlockHeader, Hit, Search, Store, Wake, Watch
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b

ROOT = Path(__file__).parents[2]
NOW = UnixTime(1_000)
STATE = b'{"state":"created"}'
STEP = [("created", "collecting_entries", "terms published")]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(tmp_path / "coordinator.db")
    async with opened.write() as tx:
        await tx.create_lane("lane", STATE, "created", NOW)
        await tx.create_lane("other", STATE, "created", NOW)
    yield opened
    await opened.close()


def block(height: int, branch: str = "a") -> Block:
    return Block(Height(height), f"{branch}{height}", f"{branch}{height - 1}", UnixTime(height), UnixTime(height), ())


def header(made: Block) -> BlockHeader:
    return BlockHeader(made.height, made.block_hash, made.time, made.median_time_past)


async def put(store: Store, *facts: Fact) -> bool:
    async with store.write() as tx:
        return await tx.put_facts("lane", facts, "test", NOW)


async def want(store: Store, *names: str, now: float = 0.0) -> None:
    async with store.write() as tx:
        wanted = {f"lane/{name}": (name.partition(".")[0], name, b'{"kind":"x"}') for name in names}
        await tx.want_duties("lane", wanted, now)


async def claim(store: Store, now: float = 0.0, owner: str = "me", **limits: int) -> list[str]:
    async with store.write() as tx:
        rows = await tx.claim(now, 30.0, owner, limits or {"chain": 9, "ln": 9})
    return sorted(row.kind for row in rows)


class TestTransaction:
    async def test_everything_or_nothing(self, store: Store) -> None:
        with pytest.raises(RuntimeError, match="power"):
            await self.fail_after_every_write(store)
        record = await store.lane("lane")
        assert record is not None
        assert (record.rev, record.state, list(record.facts)) == (0, STATE, [])
        assert await store.transitions("lane") == []
        assert await store.open_duties("lane") == []
        assert await store.pinned("duty", "slot") is None
        assert await store.tip() is None
        assert await store.blob(hashlib.sha256(b"blob").hexdigest()) is None
        assert not await store.timer_due(NOW, NOW, Height(9))

    @staticmethod
    async def fail_after_every_write(store: Store) -> None:
        async with store.write() as tx:
            record = await tx.load("lane")
            assert record is not None
            await tx.save_state(record, STEP, b"{}", NOW, terminal=False)
            await tx.put_facts("lane", [b.ticket("entry-1")], "test", NOW)
            await tx.want_duties("lane", {"lane/chain.x": ("chain", "chain.x", b"{}")}, 0.0)
            await tx.set_wake("lane", Wake(wall=NOW))
            await tx.pin("duty", "slot", b"value")
            await tx.reserve("resource", "lane", "purpose")
            await tx.notify("lane", 0, "test", "key", "kind", NOW)
            await tx.add_block(block(1))
            await tx.put_blob(b"blob")
            raise RuntimeError("power")

    async def test_writers_take_turns(self, store: Store) -> None:
        async def add(number: int) -> None:
            async with store.write() as tx:
                known = await tx.pin("counter", "value", b"")
                await asyncio.sleep(0)
                await tx.pin("counter", str(number), known + b"x")

        await asyncio.gather(*(add(n) for n in range(20)))
        assert [await store.pinned("counter", str(n)) for n in range(20)] == [b"x"] * 20

    async def test_cancelled_writer_leaves_nothing_and_frees_the_lock(self, store: Store) -> None:
        inside = asyncio.Event()

        async def stuck() -> None:
            async with store.write() as tx:
                await tx.put_blob(b"never")
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(stuck())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10), store.write() as tx:
            await tx.put_blob(b"next")
        assert await store.blob(hashlib.sha256(b"never").hexdigest()) is None
        assert await store.blob(hashlib.sha256(b"next").hexdigest()) == b"next"


class TestLanes:
    async def test_state_log_and_revision_go_together(self, store: Store) -> None:
        async with store.write() as tx:
            record = await tx.load("lane")
            assert record is not None
            steps = [*STEP, ("collecting_entries", "returning", "canceled")]
            await tx.save_state(record, steps, b'{"state":"returning"}', UnixTime(2_000), terminal=False)
        after = await store.lane("lane")
        assert after is not None
        assert (after.rev, after.state, after.entered_at) == (2, b'{"state":"returning"}', 2_000)
        log = await store.transitions("lane")
        assert [(row.from_state, row.to_state, row.reason, row.at) for row in log] == [(*s, 2_000) for s in steps]

    async def test_save_compares_the_revision(self, store: Store) -> None:
        record = await store.lane("lane")
        assert record is not None
        async with store.write() as tx:
            await tx.save_state(record, STEP, b"{}", NOW, terminal=False)
        with pytest.raises(StaleRevision):
            async with store.write() as tx:
                await tx.save_state(record, STEP, b"lost update", NOW, terminal=False)
        after = await store.lane("lane")
        assert after is not None
        assert (after.rev, after.state) == (1, b"{}")
        assert len(await store.transitions("lane")) == 1

    async def test_unknown_lane_is_none(self, store: Store) -> None:
        assert await store.lane("nowhere") is None
        assert await store.lanes() == ["other", "lane"]

    async def test_quarantine_parks_the_inbox_of_its_lane(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.notify("lane", 0, "test", "a", "kind", NOW)
            await tx.notify("other", 1, "test", "b", "kind", NOW)
            await tx.quarantine("lane", "contradiction", NOW)
        assert [one.lane for one in await store.news(9)] == ["other"]
        record = await store.lane("lane")
        assert record is not None
        assert record.quarantined == "contradiction"


class TestFacts:
    async def test_first_one_stands_unless_it_is_repeatable(self, store: Store) -> None:
        assert await put(store, b.attested(1), b.invoice("entry-1"))
        assert not await put(store, b.attested(1), b.invoice("entry-1"))
        assert not await put(store, b.attested(2))
        assert await put(store, b.invoice("entry-1", HoldState.SETTLED))
        record = await store.lane("lane")
        assert record is not None
        attested, invoice = record.facts.get(f.Attested), record.facts.all(f.Invoice)
        assert attested == b.attested(1)
        assert [i.state for i in invoice] == [HoldState.SETTLED]

    async def test_facts_of_lanes_are_apart(self, store: Store) -> None:
        await put(store, b.attested(1))
        other = await store.lane("other")
        assert other is not None
        assert list(other.facts) == []

    async def test_every_kind_survives_storage(self, store: Store) -> None:
        made: list[Fact] = [
            *b.seats(("entry-1",)),
            b.holds_read(0, lost=("x",)),
            b.oracle_event(),
            b.session(),
            b.seal("entry-1"),
            b.registered("entry-1", refusal="no"),
            b.keygen(),
            b.posted(),
            b.pinned(),
            b.batches(),
            b.spare(0, "batch-1-0", 5),
            b.ready("entry-1", ("a", "b")),
            b.approval("entry-1", "a"),
            b.batch_signed(0),
            b.contract_signed(),
            b.built("split", "t"),
            b.payout("entry-1", f.PrizeState.UNKNOWN),
            f.CoinsReleased(attempt=3),
            f.NeedsOperator(topic="t", reason="r", resume="x"),
        ]
        await put(store, *made)
        record = await store.lane("lane")
        assert record is not None
        assert {(x.kind(), x.key): x for x in record.facts} == {(x.kind(), x.key): x for x in made}


class TestInbox:
    async def test_key_is_unique_within_its_source(self, store: Store) -> None:
        async with store.write() as tx:
            first = await tx.notify("lane", 0, "api", "key", "kind", NOW)
            assert first is not None
            assert await tx.notify("other", 0, "api", "key", "kind", NOW) is None
            assert await tx.notify("lane", 0, "chain", "key", "kind", NOW) is not None
            assert await tx.answered("api", "key") is None
            await tx.answer(first, b"yes", NOW)
        async with store.write() as tx:
            assert await tx.answered("api", "key") == b"yes"
            assert await tx.answered("chain", "key") is None

    async def test_news_of_each_class_that_waits_longest(self, store: Store) -> None:
        assert await store.news(9) == []
        async with store.write() as tx:
            await tx.notify("lane", 5, "test", "a", "kind", NOW)
            await tx.notify("other", 0, "test", "b", "kind", NOW)
            await tx.notify("lane", 5, "test", "c", "kind", NOW)
        assert [(one.prio, one.lane) for one in await store.news(9)] == [(0, "other"), (5, "lane"), (5, "lane")]
        assert [(one.prio, one.lane) for one in await store.news(1)] == [(0, "other"), (5, "lane")]
        async with store.write() as tx:
            assert await tx.finish_inbox("other", NOW) == 1
        assert {one.lane for one in await store.news(9)} == {"lane"}


class TestDuties:
    async def test_wanted_twice_is_one_and_unwanted_is_obsolete(self, store: Store) -> None:
        await want(store, "chain.a", "chain.b")
        await want(store, "chain.a", "chain.b")
        await want(store, "chain.b", "chain.c")
        assert sorted(kind for kind, *_ in await store.open_duties("lane")) == ["chain.b", "chain.c"]
        await want(store, "chain.a")
        assert await claim(store) == ["chain.a"]

    async def test_done_stays_done_while_it_is_not_wanted(self, store: Store) -> None:
        await want(store, "chain.a")
        async with store.write() as tx:
            row = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
            assert await tx.complete(row, "done", 0.0, None, 0.0)
        await want(store)
        assert await store.open_duties("lane") == []
        assert not await store.due(9e9, {"chain": 1, "ln": 1})

    async def test_claim_respects_time_channel_and_limit(self, store: Store) -> None:
        await want(store, "chain.a", "chain.b", "ln.a", now=10.0)
        assert not await store.due(9.0, {"chain": 1, "ln": 1})
        assert await claim(store, 9.0) == []
        assert len(await store.due(10.0, {"chain": 1, "ln": 1})) == 3
        assert len(await claim(store, 10.0, chain=1)) == 1
        assert len(await claim(store, 10.0, chain=5)) == 1
        assert await claim(store, 10.0, chain=5) == []
        assert await claim(store, 10.0, ln=5) == ["ln.a"]

    async def test_leases_of_an_ended_process_are_due_at_once_and_its_completions_stale(self, store: Store) -> None:
        await want(store, "chain.a", "chain.b")
        async with store.write() as tx:
            old = (await tx.claim(0.0, 30.0, "gone", {"chain": 1}))[0]
            await tx.complete((await tx.claim(0.0, 30.0, "gone", {"chain": 1}))[0], "open", 500.0, None, 0.0)
            await tx.end_leases(1.0)
            new = await tx.claim(1.0, 30.0, "new", {"chain": 9})
            assert [(row.id, row.fence) for row in new] == [(old.id, 2)]
            assert not await tx.complete(old, "done", 1.0, None, 1.0)

    async def test_an_owner_gives_back_its_own_leases_and_no_others(self, store: Store) -> None:
        await want(store, "chain.a", "chain.b", "chain.c")
        async with store.write() as tx:
            mine = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
            done = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
            await tx.complete(done, "open", 500.0, None, 0.0)
            await tx.claim(0.0, 30.0, "you", {"chain": 1})
        async with store.write() as tx:
            assert await tx.end_leases(1.0, "me") == 1
            assert await tx.end_leases(1.0, "me") == 0
            assert [row.id for row in await tx.claim(1.0, 30.0, "next", {"chain": 9})] == [mine.id]

    async def test_only_the_highest_fence_completes(self, store: Store) -> None:
        await want(store, "chain.a")
        async with store.write() as tx:
            old = (await tx.claim(0.0, 30.0, "old", {"chain": 1}))[0]
        async with store.write() as tx:
            new = (await tx.claim(30.0, 30.0, "new", {"chain": 1}))[0]
        assert (old.fence, new.fence, new.attempts) == (1, 2, 2)
        async with store.write() as tx:
            assert not await tx.complete(old, "done", 0.0, None, 31.0)
            assert await tx.complete(new, "open", 99.0, "not yet", 31.0)
            assert not await tx.complete(old, "done", 0.0, None, 31.0)
        assert await store.open_duties("lane") == [("chain.a", "lane/chain.a", 2, "not yet")]

    async def test_obsolete_duty_cannot_be_completed(self, store: Store) -> None:
        await want(store, "chain.a")
        async with store.write() as tx:
            row = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
        await want(store)
        async with store.write() as tx:
            assert not await tx.complete(row, "done", 0.0, None, 1.0)

    async def test_failures_count_until_a_success(self, store: Store) -> None:
        await want(store, "chain.a")
        for number, error in enumerate(("x", "y", None, "z")):
            async with store.write() as tx:
                row = (await tx.claim(number * 100.0, 30.0, "me", {"chain": 1}))[0]
                assert row.failures == {0: 0, 1: 1, 2: 2, 3: 0}[number]
                assert await tx.complete(row, "open", number * 100.0 + 1, error, 0.0)

    async def test_pin_and_blob_are_written_once(self, store: Store) -> None:
        async with store.write() as tx:
            assert await tx.pin("duty", "slot", b"first") == b"first"
            assert await tx.pin("duty", "slot", b"second") == b"first"
            assert await tx.pin("duty", "other", b"second") == b"second"
            name = await tx.put_blob(b"data")
            assert await tx.put_blob(b"data") == name
        assert await store.pinned("duty", "slot") == b"first"
        assert await store.blob(name) == b"data"
        assert await store.blob("0" * 64) is None

    async def test_resource_belongs_to_the_first_lane_and_purpose(self, store: Store) -> None:
        async with store.write() as tx:
            assert await tx.reserve("hash:1", "lane", "ticket")
            assert await tx.reserve("hash:1", "lane", "ticket")
            assert not await tx.reserve("hash:1", "lane", "payout")
            assert not await tx.reserve("hash:1", "other", "ticket")
            assert await tx.reserve("hash:2", "other", "ticket")


class TestTimers:
    async def test_due_ones_fire_once_and_wake_replaces(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.set_wake("lane", Wake(wall=UnixTime(10), height=Height(5)))
            await tx.set_wake("other", Wake(domain=UnixTime(10)))
        assert not await store.timer_due(UnixTime(9), UnixTime(9), Height(4))
        assert await store.timer_due(UnixTime(9), UnixTime(9), Height(5))
        async with store.write() as tx:
            assert await tx.fire_timers(UnixTime(10), UnixTime(10), Height(4)) == ["lane", "other"]
            assert await tx.fire_timers(UnixTime(10), UnixTime(10), Height(4)) == []
            assert await tx.fire_timers(UnixTime(10), UnixTime(10), Height(5)) == ["lane"]
            await tx.set_wake("lane", Wake(wall=UnixTime(20)))
            await tx.set_wake("lane", Wake())
            assert await tx.fire_timers(UnixTime(99), UnixTime(99), Height(99)) == []

    async def test_median_time_past_is_a_clock_of_its_own(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.set_wake("lane", Wake(median=UnixTime(10)))
        now = (UnixTime(99), UnixTime(99), Height(99))
        assert not await store.timer_due(*now)
        assert not await store.timer_due(*now, median=UnixTime(9))
        assert await store.timer_due(*now, median=UnixTime(10))
        async with store.write() as tx:
            assert await tx.fire_timers(*now) == []
            assert await tx.fire_timers(*now, median=UnixTime(10)) == ["lane"]

    async def test_so_many_at_once_the_longest_due_first(self, store: Store) -> None:
        now = (UnixTime(99), UnixTime(0), Height(0))
        async with store.write() as tx:
            await tx.set_wake("lane", Wake(wall=UnixTime(20)))
            await tx.set_wake("other", Wake(wall=UnixTime(10)))
            assert await tx.fire_timers(*now, limit=1) == ["other"]
            assert await tx.fire_timers(*now, limit=1) == ["lane"]

    async def test_woken_lanes_have_an_inbox_row_each_time(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.wake_lanes(["lane", "other"], 5, "timer", "timer", UnixTime(7))
            await tx.wake_lanes(["lane"], 5, "timer", "timer", UnixTime(7))
            await tx.wake_lanes([], 5, "timer", "timer", UnixTime(7))
        async with store.write() as tx:
            assert await tx.cause("other") != ""
            assert await tx.finish_inbox("lane", UnixTime(8)) == 2
            assert await tx.finish_inbox("other", UnixTime(8)) == 1


class TestAudit:
    """What the auditor and the sweep read."""

    @pytest.fixture
    async def idle(self, store: Store) -> Store:
        """Two competitions that nothing drives."""
        async with store.write() as tx:
            for lane in ("lane", "other"):
                await tx.finish_inbox(lane, NOW)
                await tx.set_wake(lane, Wake())
                await tx.want_duties(lane, {}, 0.0)
        return store

    async def test_a_duty_a_timer_and_news_drive(self, idle: Store) -> None:
        assert sorted(await idle.undriven(9)) == ["lane", "other"]
        assert len(await idle.undriven(1)) == 1
        for drive in ("duty", "timer", "news"):
            async with idle.write() as tx:
                assert await tx.is_undriven("lane")
                if drive == "duty":
                    await tx.want_duties("lane", {"lane/a": ("chain", "a", b"{}")}, 0.0)
                if drive == "timer":
                    await tx.set_wake("lane", Wake(height=Height(10**6)))
                if drive == "news":
                    await tx.wake_lanes(["lane"], 6, "audit", "audit", NOW)
                assert not await tx.is_undriven("lane")
            assert list(await idle.undriven(9)) == ["other"]
            async with idle.write() as tx:
                await tx.want_duties("lane", {}, 0.0)
                await tx.set_wake("lane", Wake())
                await tx.finish_inbox("lane", NOW)

    async def test_who_is_stopped_or_over_needs_no_drive(self, idle: Store) -> None:
        async with idle.write() as tx:
            await tx.quarantine("lane", "why", NOW)
            record = await tx.load("other")
            assert record is not None
            await tx.save_state(record, [("created", "cancelled", "why")], STATE, NOW, terminal=True)
        assert list(await idle.undriven(9)) == []

    async def test_a_watch_alone_drives_nothing(self, idle: Store) -> None:
        async with idle.write() as tx:
            await tx.set_watches("lane", {Watch("t", "aa"): Height(1)})
        assert "lane" in await idle.undriven(9)

    async def test_late_by_each_clock_and_not_a_moment_sooner(self, store: Store) -> None:
        def at(value: int) -> Moments:
            return Moments(wall=UnixTime(value), domain=UnixTime(value), median=UnixTime(value), height=Height(value))

        for budget in (
            Wake(wall=UnixTime(9)),
            Wake(domain=UnixTime(9)),
            Wake(median=UnixTime(9)),
            Wake(height=Height(9)),
        ):
            async with store.write() as tx:
                await tx.set_wake("lane", Wake(), budget)
            assert list(await store.late(at(9), 9)) == []
            (row,) = await store.late(at(10), 9)
            assert (row.lane, row.state) == ("lane", "created")
        async with store.write() as tx:
            await tx.set_wake("lane", Wake())
        assert list(await store.late(at(10), 9)) == []

    async def test_late_once_although_by_two_clocks(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.set_wake("lane", Wake(), Wake(wall=UnixTime(1), height=Height(1)))
            await tx.set_wake("other", Wake(), Wake(wall=UnixTime(1)))
            await tx.quarantine("other", "why", NOW)
        now = Moments(wall=UnixTime(9), domain=UnixTime(9), median=UnixTime(9), height=Height(9))
        assert [row.lane for row in await store.late(now, 9)] == ["lane"]

    async def test_everything_that_follows_is_read_at_once(self, idle: Store) -> None:
        async with idle.write() as tx:
            await tx.want_duties("lane", {"lane/a": ("chain", "a", b"{}"), "lane/b": ("chain", "b", b"{}")}, 0.0)
            await tx.want_duties("lane", {"lane/a": ("chain", "a", b"{}")}, 0.0)
            await tx.set_wake("lane", Wake(wall=UnixTime(7), median=UnixTime(8)), Wake(height=Height(9)))
            await tx.set_watches("lane", {Watch("t", "aa"): Height(1), Watch("o", "bb:0"): Height(1)})
        found = await idle.stored("lane")
        assert found is not None
        assert found.record.id == "lane"
        assert found.duties == {"lane/a": "open"}
        assert found.watches == {Watch("t", "aa"), Watch("o", "bb:0")}
        assert found.wake == Wake(wall=UnixTime(7), median=UnixTime(8))
        assert found.budget == Wake(height=Height(9))
        assert not found.news
        async with idle.write() as tx:
            await tx.wake_lanes(["lane"], 6, "sweep", "sweep", NOW)
        assert (await idle.stored("lane")).news  # type: ignore[union-attr]
        assert await idle.stored("nobody") is None


class TestChain:
    async def test_cursor_and_hits_move_together_and_back(self, store: Store) -> None:
        first, second = block(1), block(2)
        watch = Watch("o", "coin:0")
        async with store.write() as tx:
            await tx.set_watches("lane", {watch: Height(1), Watch("t", "tx"): Height(1)})
            for made in (first, second):
                await tx.add_block(made)
            assert await tx.add_hits(header(second), [Hit("lane", watch, "tx")])
            assert await tx.add_hits(header(second), [Hit("lane", watch, "tx")])
            assert await tx.add_hits(header(first), [])
        assert await store.tip() == header(second)
        assert await store.tip(first=True) == header(first)
        record = await store.lane("lane")
        assert record is not None
        assert record.confirmed == {"tx": 2}
        assert (record.spent["coin:0"].txid, record.spent["coin:0"].height) == ("tx", 2)
        async with store.write() as tx:
            assert list(await tx.drop_tip()) == ["lane"]
            assert list(await tx.drop_tip()) == []
            assert list(await tx.drop_tip()) == []
        record = await store.lane("lane")
        assert record is not None
        assert (record.confirmed, record.spent, await store.tip()) == ({}, {}, None)

    async def test_hits_in_a_block_that_is_not_stored_are_refused(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.add_block(block(1))
            assert not await tx.add_hits(header(block(1, "b")), [Hit("lane", Watch("t", "tx"), "tx")])
        record = await store.lane("lane")
        assert record is not None
        assert record.confirmed == {}

    async def test_watches_are_searched_from_their_height_up_to_the_cursor(self, store: Store) -> None:
        watch = Watch("t", "tx")
        async with store.write() as tx:
            for height in range(1, 4):
                await tx.add_block(block(height))
            await tx.set_watches("lane", {watch: Height(2)})
            await tx.set_watches("other", {watch: Height(1), Watch("o", "coin:0"): Height(4)})
        # What can only be in the next block has no past.
        searches = [Search("other", watch, Height(1)), Search("lane", watch, Height(2))]
        assert await store.unfilled_watches() == searches
        async with store.write() as tx:
            await tx.searched(searches[:1], Height(3))
        assert await store.unfilled_watches() == [Search("lane", watch, Height(2)), Search("other", watch, Height(3))]
        async with store.write() as tx:
            await tx.searched(await store.unfilled_watches(), Height(4))
            await tx.set_watches("lane", {watch: Height(2)})
            await tx.set_watches("other", {watch: Height(9)})
        assert await store.unfilled_watches() == []

    async def test_a_watch_that_is_wanted_earlier_is_searched_again(self, store: Store) -> None:
        watch = Watch("t", "tx")
        async with store.write() as tx:
            for height in range(1, 5):
                await tx.add_block(block(height))
            await tx.set_watches("lane", {watch: Height(4)})
        [search] = await store.unfilled_watches()
        async with store.write() as tx:
            await tx.set_watches("lane", {watch: Height(2)})
            # Found out before it was wanted earlier: the search since then is still to be done.
            await tx.searched([search], Height(5))
        assert await store.unfilled_watches() == [Search("lane", watch, Height(2))]

    async def test_an_operator_has_the_past_searched_again_from_the_beginning(self, store: Store) -> None:
        watch = Watch("t", "tx")
        async with store.write() as tx:
            await tx.add_block(block(1))
            await tx.add_block(block(2))
            await tx.set_watches("lane", {watch: Height(1)})
        async with store.write() as tx:
            await tx.searched(await store.unfilled_watches(), Height(3))
            assert await tx.search_again("lane") == 1
        assert await store.unfilled_watches() == [Search("lane", watch, Height(1))]

    async def test_who_watches_is_found_by_what_a_block_holds(self, store: Store) -> None:
        """However many keys are asked for, and only those of their kind."""
        spend = Watch("o", "coin:0")
        async with store.write() as tx:
            await tx.set_watches("lane", {Watch("t", "tx"): Height(1), spend: Height(1)})
            await tx.set_watches("other", {spend: Height(1), Watch("t", "coin:0"): Height(1)})
            many = {f"{number:064x}" for number in range(2_000)}
            assert await tx.watching(many | {"tx"}, set()) == [("lane", Watch("t", "tx"))]
            found = await tx.watching(many, {"coin:0", "coin:1"})
            assert sorted(found) == [("lane", spend), ("other", spend)]
            assert await tx.watching(set(), set()) == []

    async def test_a_block_of_the_past_comes_back_with_its_hits(self, store: Store) -> None:
        watch = Watch("t", "tx")
        async with store.write() as tx:
            await tx.add_block(block(9))
            assert await tx.keep_block(block(4))
            assert await tx.keep_block(block(4))
            assert not await tx.keep_block(block(4, "b"))
            assert not await tx.keep_block(block(9, "b"))
            assert not await tx.keep_block(block(10))
            await tx.set_watches("lane", {watch: Height(1)})
            assert await tx.add_hits(header(block(4)), [Hit("lane", watch, "tx")])
        record = await store.lane("lane")
        assert record is not None
        assert record.confirmed == {"tx": 4}
        assert await store.tip() == header(block(9))


class TestDurability:
    async def test_second_process_is_refused(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="in use by another process"):
            await SqliteStore.open(tmp_path / "coordinator.db")

    async def test_profile_of_the_database(self, store: SqliteStore) -> None:
        async with store.write_connection() as connection:
            answers = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert answers == ["wal", 2, 1]
        async with store.read_connection() as connection:
            assert (await connection.exec_driver_sql("PRAGMA query_only")).scalar() == 1

    async def test_reopened_database_has_everything(self, tmp_path: Path) -> None:
        path = tmp_path / "again.db"
        first = await SqliteStore.open(path)
        async with first.write() as tx:
            await tx.create_lane("lane", STATE, "created", NOW)
            await tx.pin("duty", "slot", b"value")
        await first.close()
        second = await SqliteStore.open(path)
        assert await second.lanes() == ["lane"]
        assert await second.pinned("duty", "slot") == b"value"
        await second.close()

    def test_killed_process_loses_no_commit_and_leaves_no_half(self, tmp_path: Path) -> None:
        """Every number was printed after its commit; the process dies (-9) inside the transaction after."""
        path = tmp_path / "killed.db"
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert child.stdout is not None
        acknowledged = [line.strip() for line in iter(child.stdout.readline, "half\n")]
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        assert acknowledged == [str(n) for n in range(20)]
        connection = sqlite3.connect(path)
        try:
            pins = connection.execute("SELECT slot, value FROM pin ORDER BY CAST(slot AS INTEGER)").fetchall()
            duties = connection.execute("SELECT count(*) FROM duty").fetchone()
            checked = connection.execute("PRAGMA integrity_check").fetchone()
        finally:
            connection.close()
        assert pins == [(str(n), b"value") for n in range(20)]
        assert (duties, checked) == ((20,), ("ok",))


WRITER = """
import asyncio, sys
from pathlib import Path
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.units import UnixTime

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    async with store.write() as tx:
        await tx.create_lane("lane", b"{}", "created", UnixTime(1))
    wanted = {}
    for n in range(21):
        wanted[f"lane/x/{n}"] = ("chain", "x", b"{}")
        async with store.write() as tx:
            await tx.pin("duty", str(n), b"value")
            await tx.want_duties("lane", wanted, 0.0)
            if n == 20:
                print("half", flush=True)
                await asyncio.Event().wait()
        print(n, flush=True)

asyncio.run(main())
"""


class TestOverAllCompetitions:
    async def test_facts_of_a_kind_and_key_by_when_they_were_seen(self, store: Store) -> None:
        old = f.Missed(player="p", attempt=1, at=UnixTime(1))
        new = f.Missed(player="p", attempt=2, at=UnixTime(2))
        async with store.write() as tx:
            await tx.put_facts("lane", [old, f.Missed(player="q", attempt=1, at=UnixTime(1))], "test", UnixTime(100))
            await tx.put_facts("other", [new, f.Attended(player="p", at=UnixTime(3))], "test", UnixTime(200))
        assert sorted((await store.facts_of(f.Missed, "p", UnixTime(100))), key=lambda x: x.at) == [old, new]
        assert await store.facts_of(f.Missed, "p", UnixTime(101)) == [new]
        assert await store.facts_of(f.Attended, "p", UnixTime(0)) == [f.Attended(player="p", at=UnixTime(3))]
        assert await store.facts_of(f.Missed, "nobody", UnixTime(0)) == []

    async def test_the_last_payment_is_the_one_seen_paid_last_whatever_the_competition(self, store: Store) -> None:
        assert await store.last_payment() is None
        paid = [b.payout(e, b.PrizeState.PAID, payment_hash=f"{n:064x}") for n, e in enumerate(b.ROSTER)]
        unpaid = b.payout("entry-5", b.PrizeState.PAYING)
        seen = (("lane", paid[0], 100), ("other", paid[1], 300), ("lane", paid[2], 200), ("lane", unpaid, 400))
        for lane, payout, at in seen:
            async with store.write() as tx:
                await tx.put_facts(lane, [payout], "test", UnixTime(at))
        assert await store.last_payment() == paid[1].payment_hash

    async def test_the_last_payment_is_found_below_many_that_are_not_paid(self, store: Store) -> None:
        async with store.write() as tx:
            await tx.put_facts("lane", [b.payout("entry-1", b.PrizeState.PAID)], "test", UnixTime(1))
            for n in range(250):
                payout = b.payout("entry-2", b.PrizeState.UNKNOWN)
                values = {name: getattr(payout, name) for name in payout.__struct_fields__}
                await tx.put_facts("other", [f.Payout(**{**values, "entry_id": str(n)})], "test", UnixTime(2))
        assert await store.last_payment() == b.payout("entry-1", b.PrizeState.PAID).payment_hash


async def test_a_fact_that_arrives_late_takes_nothing_back(store: Store) -> None:
    """One duty saw the invoice accepted, another settled it and wrote that first."""
    settled, accepted = b.invoice("entry-1", HoldState.SETTLED), b.invoice("entry-1")
    assert await put(store, b.invoice("entry-1", HoldState.OPEN))
    assert await put(store, settled)
    assert not await put(store, accepted)
    record = await store.lane("lane")
    assert record is not None
    assert record.facts.get(f.Invoice, settled.payment_hash) == settled
    assert await put(store, b.ticket("entry-1", 2))
    assert not await put(store, b.ticket("entry-1", 1))


class TestMoney:
    """What comparisons with the outside read over all competitions."""

    async def books(self, store: Store, *kinds: type[Fact]) -> dict[str, OpenBook]:
        return {book.lane: book async for book in store.open_books(kinds)}

    async def end(self, store: SqliteStore, lane: str) -> None:
        async with store.write() as tx:
            record = await tx.load(lane)
            assert record is not None
            await tx.save_state(record, STEP, STATE, NOW, terminal=True)

    async def test_facts_of_some_kinds_of_everything_that_goes_on(self, store: SqliteStore) -> None:
        await put(store, b.ticket("entry-1"), b.invoice("entry-1"), b.pinned())
        found = await self.books(store, f.Ticket, f.Invoice)
        assert found.keys() == {"lane", "other"}
        assert found["lane"].facts.all(f.Ticket) == (b.ticket("entry-1"),)
        assert found["lane"].facts.all(f.Invoice) == (b.invoice("entry-1"),)
        assert found["lane"].facts.all(f.Pinned) == ()
        assert (found["other"].quarantined, found["other"].unreadable, found["other"].confirmed) == (None, None, set())

    async def test_one_that_is_over_counts_while_it_has_something_to_do(self, store: SqliteStore) -> None:
        await want(store, "ln.pay")
        await self.end(store, "lane")
        await self.end(store, "other")
        assert (await self.books(store)).keys() == {"lane"}
        async with store.write() as tx:
            await tx.want_duties("lane", {}, 0.0)
        assert await self.books(store) == {}
        assert await store.oldest_open() is None

    async def test_a_row_that_cannot_be_read_hides_no_other_competition(self, store: SqliteStore) -> None:
        await put(store, b.ticket("entry-1"))
        async with store.write() as tx:
            await tx.put_facts("other", [b.ticket("entry-2")], "test", NOW)
        async with store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE lane = 'lane'")
        found = await self.books(store, f.Ticket)
        assert "version 9" in (found["lane"].unreadable or "")
        assert found["other"].facts.all(f.Ticket) == (b.ticket("entry-2"),)

    async def test_stopped_ones_and_what_is_in_the_chain(self, store: SqliteStore) -> None:
        async with store.write() as tx:
            await tx.quarantine("lane", "a contradiction", NOW)
            await tx.add_block(block(1))
            await tx.add_hits(header(block(1)), [Hit("other", Watch("t", "aa" * 32), "aa" * 32)])
        found = await self.books(store)
        assert found["lane"].quarantined == "a contradiction"
        assert found["other"].confirmed == {"aa" * 32}

    async def test_more_of_them_than_one_question_asks_for(self, store: SqliteStore) -> None:
        for n in range(450):
            async with store.write() as tx:
                await tx.create_lane(f"more-{n:03}", STATE, "created", UnixTime(5))
        assert len(await self.books(store)) == 452
        assert await store.oldest_open() == 5

    async def test_unique_resources_reserved_coins_and_acts(self, store: SqliteStore) -> None:
        async with store.write() as tx:
            await tx.reserve("payout:aa", "lane", "prize/1")
            await tx.reserve("coin:bb:0", "lane", "funding/1")
            await tx.record_act(Act(dkey="1", who="w", act="explain", subject="aa", reason="r"), b"{}", NOW)
            await tx.record_act(Act(dkey="2", who="w", act="retry", subject="bb", reason="r"), b"{}", NOW)
        names = {"payout:aa", "payout:bb", *(f"hash:{n}" for n in range(1_000))}
        assert await store.taken(names) == {"payout:aa"}
        assert await store.taken([]) == frozenset()
        assert await store.reserved_coins() == [ReservedCoin("lane", "bb:0")]
        assert await store.acted_on("explain") == {"aa"}
        assert await store.acted_on("freeze") == frozenset()
