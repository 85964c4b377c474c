"""The Store port: who gets leased, how leases are kept, and that a late outcome changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain.duties import Urgency
from coordinator.ports.leasing import Due
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime

NOW = UnixTime(1_000)
SETTLE, CREATE, NOTIFY = "ln.settle", "ln.create_invoice", "ln.watch_invoice"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(tmp_path / "coordinator.db")
    async with opened.write() as tx:
        for lane in ("lane", "other", "third"):
            await tx.create_lane(lane, b"{}", "created", NOW)
    yield opened
    await opened.close()


async def want(store: Store, lane: str, *kinds: str, now: float = 0.0, protective: Sequence[str] = ()) -> None:
    async with store.write() as tx:
        wanted = {f"{lane}/{kind}/{n}": ("lightning", kind, b"{}") for n, kind in enumerate(kinds)}
        await tx.want_duties(lane, wanted, now, protective)


async def test_due_ones_come_by_class_and_then_by_how_long_they_wait(store: Store) -> None:
    await want(store, "lane", NOTIFY, CREATE, SETTLE, now=1.0)
    await want(store, "other", SETTLE, NOTIFY, now=0.5)
    due = await store.due(2.0, {"lightning": 9})
    assert [(one.urgency, one.lane) for one in due] == [
        (Urgency.MONEY, "other"),
        (Urgency.MONEY, "lane"),
        (Urgency.ROUTINE, "lane"),
        (Urgency.NOTICE, "other"),
        (Urgency.NOTICE, "lane"),
    ]
    assert await store.due(0.4, {"lightning": 9}) == []
    assert await store.due(2.0, {"chain": 9}) == []
    assert await store.due(2.0, {}) == ()


async def test_each_class_shows_its_longest_waiting_however_many_others_are_due(store: Store) -> None:
    await want(store, "lane", *[SETTLE] * 50, NOTIFY)
    due = await store.due(1.0, {"lightning": 2})
    assert NOTIFY in {one.id.split("/")[1] for one in due}
    assert len(due) < 20


async def test_lanes_that_have_their_share_are_passed_over_in_that_channel(store: Store) -> None:
    await want(store, "lane", *[SETTLE] * 50)
    await want(store, "other", SETTLE, now=0.5)
    due = await store.due(1.0, {"lightning": 1}, {"lightning": {"lane", "third"}, "chain": {"other"}})
    assert [one.lane for one in due] == ["other"]
    async with store.write() as tx:
        [row] = await tx.claim(1.0, 30.0, "me", {"lightning": 1}, full={"lightning": {"lane"}})
    assert row.lane == "other"


async def test_what_is_chosen_is_leased_and_nothing_else(store: Store) -> None:
    await want(store, "lane", SETTLE, CREATE)
    seen: list[Due] = []

    def choose(due: Sequence[Due]) -> list[str]:
        seen.extend(due)
        return [due[1].id]

    async with store.write() as tx:
        [row] = await tx.claim(1.0, 30.0, "me", {"lightning": 1}, choose=choose)
        assert await tx.claim(1.0, 30.0, "me", {"lightning": 1}, choose=lambda _: []) == []
    assert len(seen) == 2
    assert (row.id, row.fence, row.attempts) == (seen[1].id, 1, 1)
    assert [one.id for one in await store.due(1.0, {"lightning": 9})] == [seen[0].id]


async def test_of_a_stopped_lane_only_what_protects(store: Store) -> None:
    await want(store, "lane", SETTLE, CREATE, protective=[f"lane/{SETTLE}/0"])
    async with store.write() as tx:
        await tx.quarantine("lane", "contradiction", NOW)
    assert [one.id for one in await store.due(1.0, {"lightning": 9})] == [f"lane/{SETTLE}/0"]


async def test_leases_are_extended_for_who_holds_them(store: Store) -> None:
    await want(store, "lane", SETTLE, CREATE, NOTIFY)
    async with store.write() as tx:
        mine = await tx.claim(0.0, 30.0, "me", {"lightning": 2})
        [theirs] = await tx.claim(0.0, 30.0, "they", {"lightning": 1})
        assert await tx.extend("me", 99.0, [row.id for row in (*mine, theirs)]) == {row.id: 1 for row in mine}
    assert [one.id for one in await store.due(98.0, {"lightning": 9})] == [theirs.id]
    async with store.write() as tx:
        # It ended and nobody came: it is still its holder's.
        assert await tx.extend("they", 200.0, [theirs.id]) == {theirs.id: 1}
        taken = await tx.claim(100.0, 30.0, "they", {"lightning": 9})
        assert {row.id for row in taken} == {row.id for row in mine}
        assert await tx.extend("me", 300.0, [row.id for row in mine]) == {}
        assert await tx.complete(taken[0], "done", 0.0, None, 1.0)
        assert await tx.extend("they", 300.0, [taken[0].id]) == {}


async def test_leases_of_one_owner_end_and_those_of_others_stay(store: Store) -> None:
    await want(store, "lane", SETTLE, CREATE)
    async with store.write() as tx:
        [mine] = await tx.claim(0.0, 30.0, "me", {"lightning": 1})
        await tx.claim(0.0, 30.0, "they", {"lightning": 1})
        assert await tx.end_leases(5.0, "me") == 1
        assert [row.id for row in await tx.claim(5.0, 30.0, "me", {"lightning": 9})] == [mine.id]


async def test_the_same_defect_in_a_row_is_counted_and_anything_else_starts_again(store: Store) -> None:
    await want(store, "lane", SETTLE)
    seen: list[tuple[str, int]] = []
    for number, defect in enumerate(("KeyError", "KeyError", "", "KeyError", "IndexError", "IndexError")):
        async with store.write() as tx:
            [row] = await tx.claim(float(number), 30.0, "me", {"lightning": 1})
            seen.append((row.defect, row.defects))
            assert await tx.complete(row, "open", number + 1.0, "wrong", 0.0, defect)
    assert seen == [("", 0), ("KeyError", 1), ("KeyError", 2), ("", 0), ("KeyError", 1), ("IndexError", 1)]
    async with store.write() as tx:
        await tx.hurry(7.0)
        [row] = await tx.claim(7.0, 30.0, "me", {"lightning": 1})
    assert row.defects == 0


async def test_lanes_are_found_by_their_state(store: Store) -> None:
    async with store.write() as tx:
        await tx.create_lane("a signing one", b"{}", "awaiting_signing", NOW)
        assert await tx.lanes_in(("awaiting_signing", "awaiting_keygen")) == ["a signing one"]
        assert len(await tx.lanes_in(("created", "awaiting_signing"))) == 4


async def test_lanes_that_are_stopped_are_not_going(store: Store) -> None:
    async with store.write() as tx:
        await tx.create_lane("a signing one", b"{}", "awaiting_signing", NOW)
        await tx.create_lane("a stopped one", b"{}", "awaiting_signing", NOW)
        await tx.quarantine("a stopped one", "contradiction", NOW)
    assert await store.going_in(("awaiting_signing", "awaiting_keygen")) == ["a signing one"]
    assert await store.going_in(()) == []
