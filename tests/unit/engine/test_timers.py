"""Timers by every clock, derived from state: none is lost and none acts twice, whatever a clock does."""

from __future__ import annotations

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine.timers import TimerLoop
from coordinator.ports.following import Hit, Watch
from coordinator.ports.timing import Wake
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.ports import BLOCK_SECONDS

FUNDED = Watch("t", b.FUNDING)


@pytest.fixture
def timers(house) -> TimerLoop:
    return TimerLoop(house.store, house.clockwork, house.wakeups)


async def settle(house, timers: TimerLoop) -> int:
    """Fire and apply until nothing is due; how often a competition was applied."""
    count = 0
    while await timers.step():
        pass
    applier = house.applier
    while await applier.step():
        count += 1
    return count


async def due(house) -> dict[str, int]:
    return dict(await house.rows("SELECT name, due FROM timer ORDER BY name"))


class TestWindow:
    """The sealing window of an attempt, which is counted by the wall clock."""

    @pytest.fixture
    async def lane(self, house) -> str:
        house.clock.seconds = b.WALL
        lane = await house.lane(b.awaiting_keygen(), *b.seats(), b.session(), b.oracle_event())
        await house.apply(lane)
        return lane

    async def test_fires_when_it_is_over_and_not_before(self, house, timers: TimerLoop, lane: str) -> None:
        house.clock.seconds = b.WALL + b.SEALING - 1
        await settle(house, timers)
        assert isinstance(await house.state(lane), s.AwaitingKeygen)
        house.clock.seconds += 1
        assert await settle(house, timers) == 1
        assert isinstance(await house.state(lane), s.Returning)

    async def test_a_clock_that_jumps_ahead_fires_it_once(self, house, timers: TimerLoop, lane: str) -> None:
        house.clock.seconds = b.WALL + 10**6
        assert await settle(house, timers) == 1
        assert isinstance(await house.state(lane), s.Returning)
        assert await settle(house, timers) == 0
        assert len(await house.store.transitions(lane)) == 1

    async def test_a_clock_that_jumps_back_between_firing_and_applying_loses_nothing(
        self, house, timers: TimerLoop, lane: str
    ) -> None:
        house.clock.seconds = b.WALL + b.SEALING
        assert await timers.step()
        house.clock.seconds = b.WALL + 5
        assert await settle(house, timers) == 1
        assert isinstance(await house.state(lane), s.AwaitingKeygen)
        assert "wall" in await due(house)
        house.clock.seconds = b.WALL + b.SEALING
        await settle(house, timers)
        assert isinstance(await house.state(lane), s.Returning)

    async def test_a_clock_that_goes_back_and_forth_takes_no_step_twice(
        self, house, timers: TimerLoop, lane: str
    ) -> None:
        for seconds in (b.SEALING, 0, b.SEALING + 1, 3, 10**6, -(10**6), b.SEALING):
            house.clock.seconds = b.WALL + seconds
            await settle(house, timers)
        assert len(await house.store.transitions(lane)) == 1

    async def test_nothing_is_written_while_nothing_is_due(self, house, timers: TimerLoop, lane: str) -> None:
        house.clock.seconds = b.WALL + 1
        before = await house.rows("SELECT max(seq) FROM inbox")
        for _ in range(100):
            assert not await timers.step()
        assert await house.rows("SELECT max(seq) FROM inbox") == before


async def test_the_expiry_follows_median_time_past(house, timers: TimerLoop) -> None:
    """The time of the last block is an hour ahead of it: an absolute time lock is not open yet."""
    terms = b.terms_with()
    lane = await house.lane(b.awaiting_attestation(), *b.seats(), b.pinned(), terms=terms)
    async with house.store.write() as tx:
        # The funding is in the chain, so that nothing is counted in blocks.
        await tx.set_watches(lane, {FUNDED: Height(0)})
        await tx.add_hits(await house.clockwork.tip(), [Hit(lane, FUNDED, b.FUNDING)])
    await house.apply(lane)
    assert (await due(house))["median"] == b.EXPIRY + 1
    assert "height" not in await due(house)
    for median, state in ((b.EXPIRY, s.AwaitingAttestation), (b.EXPIRY + 1, s.ExpiryBroadcasted)):
        await _tip_at(house, b.EXPIRY + 7 * BLOCK_SECONDS, median)
        await settle(house, timers)
        assert isinstance(await house.state(lane), state)


async def _tip_at(house, time: int, median: int) -> None:
    block = house.chain.mine()
    moved = msgspec.structs.replace(block, time=UnixTime(time), median_time_past=UnixTime(median))
    async with house.store.write() as tx:
        await tx.add_block(moved)
    house.clockwork.moved(await house.store.tip())


async def test_a_height_fires_although_its_block_did_not_fire_it(house, timers: TimerLoop) -> None:
    lane = await house.lane(b.awaiting_escrow(), *b.seats())
    async with house.store.write() as tx:
        await tx.set_wake(lane, Wake(height=Height((await house.clockwork.tip()).height)))
    assert await timers.step()
    assert not await timers.step()


async def test_many_that_are_due_at_once_fire_in_parts(house, timers: TimerLoop) -> None:
    names = [(f"lane-{number}",) for number in range(1_100)]
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("INSERT INTO lane (id, created_at, rev) VALUES (?, 0, 0)", names)
        await connection.exec_driver_sql("INSERT INTO timer (lane, name, due) VALUES (?, 'wall', 5)", names)
    house.clock.seconds = 6
    parts = 0
    while await timers.step():
        parts += 1
    assert parts == 3
    assert await house.rows("SELECT count(DISTINCT lane) FROM inbox WHERE status = 0 AND prio = 5") == [(1_100,)]


async def test_an_owner_of_a_ticket_is_reminded_when_it_is_time(house, timers: TimerLoop) -> None:
    house.clock.seconds = b.WALL
    lane = await house.lane(b.awaiting_keygen(), *b.seats(), b.session(), b.oracle_event())
    await house.apply(lane)
    assert not any(name.startswith("notify.player/seal") for name in await house.duties(lane))
    house.clock.seconds = b.WALL + 12
    await settle(house, timers)
    assert {name for name in await house.duties(lane) if name.startswith("notify")} == {
        f"notify.player/seal/1/{entry}" for entry in b.ROSTER
    }
    # While it is on its way nothing else is asked of the same player.
    for second in range(13, 113):
        house.clock.seconds = b.WALL + second
        await settle(house, timers)
    assert len([name for name in await house.duties(lane) if name.startswith("notify")]) == len(b.ROSTER)
    await house.put(lane, f.Notified(entry_id="entry-1", topic="seal/1", delivered=True, at=UnixTime(b.WALL + 112)))
    await house.apply(lane)
    assert "notify.player/seal/1/entry-1" not in await house.duties(lane)
