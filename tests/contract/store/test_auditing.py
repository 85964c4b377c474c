"""The Store port: what the auditor and the sweep read."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import auditing
from coordinator.adapters.store.reading import load_lane
from coordinator.ports.auditing import Moments
from coordinator.ports.following import Watch
from coordinator.ports.store import LaneRecord, Store
from coordinator.ports.timing import Wake
from coordinator_core.units import Height, UnixTime
from tests.support.store_rows import NOW, STATE


@pytest.fixture
async def idle(store: Store) -> Store:
    """Two competitions that nothing drives."""
    async with store.write() as tx:
        for lane in ("lane", "other"):
            await tx.finish_inbox(lane, NOW)
            await tx.set_wake(lane, Wake())
            await tx.want_duties(lane, {}, 0.0)
    return store


async def test_a_duty_a_timer_and_news_drive(idle: Store) -> None:
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


async def test_who_is_stopped_or_over_needs_no_drive(idle: Store) -> None:
    async with idle.write() as tx:
        await tx.quarantine("lane", "why", NOW)
        record = await tx.load("other")
        assert record is not None
        await tx.save_state(record, [("created", "cancelled", "why")], STATE, NOW, terminal=True)
    assert list(await idle.undriven(9)) == []


async def test_a_watch_alone_drives_nothing(idle: Store) -> None:
    async with idle.write() as tx:
        await tx.set_watches("lane", {Watch("t", "aa"): Height(1)})
    assert "lane" in await idle.undriven(9)


async def test_late_by_each_clock_and_not_a_moment_sooner(store: Store) -> None:
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


async def test_late_once_although_by_two_clocks(store: Store) -> None:
    async with store.write() as tx:
        await tx.set_wake("lane", Wake(), Wake(wall=UnixTime(1), height=Height(1)))
        await tx.set_wake("other", Wake(), Wake(wall=UnixTime(1)))
        await tx.quarantine("other", "why", NOW)
    now = Moments(wall=UnixTime(9), domain=UnixTime(9), median=UnixTime(9), height=Height(9))
    assert [row.lane for row in await store.late(now, 9)] == ["lane"]


async def test_everything_that_follows_is_read_at_once(idle: Store) -> None:
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


async def test_what_is_read_of_one_is_as_of_one_moment(idle: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a competition that moves meanwhile looks as if its duties did not follow from its state."""

    async def then_it_moves(connection: AsyncConnection, lane: str) -> LaneRecord | None:
        record = await load_lane(connection, lane)
        async with idle.write() as tx:
            await tx.want_duties("lane", {"lane/a": ("chain", "a", b"{}")}, 0.0)
            await tx.set_wake("lane", Wake(wall=UnixTime(7)))
        return record

    monkeypatch.setattr(auditing, "load_lane", then_it_moves)
    found = await idle.stored("lane")
    assert found is not None
    assert (found.duties, found.wake) == ({}, Wake())
    assert (await idle.stored("lane")).duties == {"lane/a": "open"}  # type: ignore[union-attr]
