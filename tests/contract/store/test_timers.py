"""The Store port: timers of every clock, and lanes that are woken."""

from __future__ import annotations

from coordinator.ports.store import Store
from coordinator.ports.timing import Wake
from coordinator_core.units import Height, UnixTime


async def test_due_ones_fire_once_and_wake_replaces(store: Store) -> None:
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


async def test_median_time_past_is_a_clock_of_its_own(store: Store) -> None:
    async with store.write() as tx:
        await tx.set_wake("lane", Wake(median=UnixTime(10)))
    now = (UnixTime(99), UnixTime(99), Height(99))
    assert not await store.timer_due(*now)
    assert not await store.timer_due(*now, median=UnixTime(9))
    assert await store.timer_due(*now, median=UnixTime(10))
    async with store.write() as tx:
        assert await tx.fire_timers(*now) == []
        assert await tx.fire_timers(*now, median=UnixTime(10)) == ["lane"]


async def test_so_many_at_once_the_longest_due_first(store: Store) -> None:
    now = (UnixTime(99), UnixTime(0), Height(0))
    async with store.write() as tx:
        await tx.set_wake("lane", Wake(wall=UnixTime(20)))
        await tx.set_wake("other", Wake(wall=UnixTime(10)))
        assert await tx.fire_timers(*now, limit=1) == ["other"]
        assert await tx.fire_timers(*now, limit=1) == ["lane"]


async def test_woken_lanes_have_an_inbox_row_each_time(store: Store) -> None:
    async with store.write() as tx:
        await tx.wake_lanes(["lane", "other"], 5, "timer", "timer", UnixTime(7))
        await tx.wake_lanes(["lane"], 5, "timer", "timer", UnixTime(7))
        await tx.wake_lanes([], 5, "timer", "timer", UnixTime(7))
    async with store.write() as tx:
        assert await tx.cause("other") != ""
        assert await tx.finish_inbox("lane", UnixTime(8)) == 2
        assert await tx.finish_inbox("other", UnixTime(8)) == 1
