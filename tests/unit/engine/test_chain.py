"""The chain loop: cursor and hits in one transaction, backfill, reorgs, timers by height, domain and wall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from coordinator.domain.competitions import states as s
from coordinator.engine.chain import ChainLoop
from coordinator.engine.chain.watching import find_hits, merged
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import ChainState
from coordinator.engine.timers import TimerLoop
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator.ports.following import Watch
from coordinator.ports.timing import Wake
from coordinator_core.errors import Fault, Misuse
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.ports import BLOCK_SECONDS, GENESIS_TIME, Clock, DataChain, transaction

COIN = f"{'c' * 64}:0"
FUNDING = transaction(b.FUNDING, COIN)
RIVAL = transaction(b.STRANGER, COIN)


@pytest.fixture
def loop(house) -> ChainLoop:
    return ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=0.0)


async def follow(loop: ChainLoop) -> int:
    """Steps until the tip is reached."""
    steps = 0
    while await loop.step():
        steps += 1
        assert steps < 100
    return steps


async def inbox(house) -> list[tuple[object, ...]]:
    return await house.rows("SELECT lane, kind FROM inbox WHERE status = 0 ORDER BY seq")


async def drain(house) -> None:
    while await house.applier.step():
        pass


@pytest.fixture
async def waiting(house) -> str:
    """A lane that waits for its funding, its watches searched."""
    lane = await house.lane(b.funding_broadcasted(), *b.seats(), b.pinned(), b.built("funding", b.FUNDING))
    await house.apply(lane)
    return lane


async def test_who_is_told_of_an_unread_block_has_it_followed_before_the_next_look(house) -> None:
    """The polls are an hour apart: only the wake-up makes the loop look, and only its own one tells of the end."""
    slow = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=3_600.0)
    running = asyncio.create_task(slow.run())
    async with asyncio.timeout(10):
        await house.wakeups.in_step.wait()
        house.wakeups.in_step.clear()
        house.chain.mine()
        house.chain.mine()
        house.wakeups.chain.set()
        await house.wakeups.in_step.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await house.clockwork.tip()).block_hash == (await house.chain.tip()).block_hash


async def test_start_takes_the_nodes_tip_once(tmp_path, store) -> None:
    chain = DataChain()
    chain.mine()
    clock = Clockwork(Clock(), store, chain_time=True)
    with pytest.raises(Misuse, match="no block"):
        await clock.tip()
    from coordinator.engine.wakeups import Wakeups

    loop = ChainLoop(store, chain, clock, Wakeups(), poll_seconds=0.0)
    await loop.start()
    assert (await clock.tip()).height == 101
    chain.mine()
    await loop.start()
    assert (await store.tip()).height == 101


async def test_cursor_moves_along_the_chain_and_stops_at_the_tip(house, loop: ChainLoop) -> None:
    for _ in range(3):
        house.chain.mine()
    await follow(loop)
    tip = await house.clockwork.tip()
    assert (tip.height, tip.block_hash) == (103, house.chain.blocks[-1].block_hash)
    assert await house.clockwork.domain() == GENESIS_TIME + 103 * BLOCK_SECONDS
    assert not await loop.step()


async def test_hit_wakes_its_lane_and_is_read_with_it(house, loop: ChainLoop, waiting: str) -> None:
    await follow(loop)
    house.chain.mine(transaction("9" * 64), FUNDING)
    await follow(loop)
    record = await house.store.lane(waiting)
    assert record.confirmed == {b.FUNDING: 101}
    assert record.spent[COIN].txid == b.FUNDING
    await drain(house)
    assert await house.state(waiting) == b.funding_confirmed(101)


async def test_restarted_loop_goes_on_where_the_cursor_is(house, loop: ChainLoop, waiting: str) -> None:
    house.chain.mine(FUNDING)
    await follow(loop)
    await drain(house)
    house.chain.mine()
    fresh = Clockwork(house.clock, house.store, chain_time=True)
    again = ChainLoop(house.store, house.chain, fresh, house.wakeups, poll_seconds=0.0)
    await again.start()
    assert await follow(again) == 1
    assert (await fresh.tip()).height == 102


async def test_watch_that_is_set_late_finds_the_past(house, loop: ChainLoop) -> None:
    house.chain.mine(FUNDING)
    house.chain.mine()
    await follow(loop)
    lane = await house.lane(b.funding_broadcasted(), *b.seats(), b.pinned())
    await house.apply(lane)
    await loop.step()
    await drain(house)
    assert await house.state(lane) == b.funding_confirmed(101)
    assert await house.rows("SELECT count(*) FROM watch WHERE backfilled = 0") == [(0,)]


async def test_late_watch_during_a_reorg_waits_for_the_roll_back(house, loop: ChainLoop, waiting: str) -> None:
    """The node is on another branch at the cursor's height: nothing of it is stored before the cursor is there."""
    house.chain.mine(branch="old")
    await loop.step()
    other = await house.lane(b.funding_broadcasted(), *b.seats(), b.pinned(), name="late")
    await house.apply(other)
    house.chain.drop()
    house.chain.mine(FUNDING, branch="new")
    await follow(loop)
    for lane in (waiting, other):
        assert (await house.store.lane(lane)).confirmed == {b.FUNDING: 101}


async def test_reorg_takes_the_hits_back_and_wakes_the_lane(house, loop: ChainLoop, waiting: str) -> None:
    await follow(loop)
    house.chain.mine(FUNDING)
    await follow(loop)
    await drain(house)
    assert isinstance(await house.state(waiting), s.FundingConfirmed)
    house.chain.drop()
    house.chain.mine(branch="new")
    await follow(loop)
    await drain(house)
    assert await house.state(waiting) == b.funding_broadcasted()
    assert (await house.store.lane(waiting)).confirmed == {}
    assert "chain.broadcast/funding/1" in await house.duties(waiting)


async def test_whoever_counts_while_a_block_leaves_never_counts_by_it(house, loop: ChainLoop, monkeypatch) -> None:
    await follow(loop)
    house.chain.mine(FUNDING)
    await follow(loop)
    left = await house.clockwork.tip()
    house.chain.drop()
    house.chain.mine(branch="new")
    seen: list[int] = []
    read = house.store.tip

    async def looked_at(*, first: bool = False):
        tip = await read(first=first)
        if tip is not None and tip.height < left.height and not first and not seen:
            # The drop is committed, and the loop has yet to hear of the tip below it.
            seen.append(0)
            seen.append((await house.clockwork.tip()).height)
        return tip

    monkeypatch.setattr(house.store, "tip", looked_at)
    await loop.step()
    assert seen[1:] == [left.height - 1]


async def test_same_block_can_come_back_after_a_reorg(house, loop: ChainLoop, waiting: str) -> None:
    """The second time a block is connected, and disconnected, its lanes hear of it as they did the first time."""
    await follow(loop)
    block = house.chain.mine(FUNDING)
    await follow(loop)
    await drain(house)
    for _ in range(2):
        house.chain.drop()
        house.chain.mine(branch="new")
        await follow(loop)
        await drain(house)
        assert isinstance(await house.state(waiting), s.FundingBroadcasted)
        house.chain.drop()
        house.chain.blocks.append(block)
        await follow(loop)
        await drain(house)
        assert isinstance(await house.state(waiting), s.FundingConfirmed)


async def test_shorter_chain_is_followed_down(house, loop: ChainLoop, waiting: str) -> None:
    for _ in range(3):
        house.chain.mine()
    await follow(loop)
    house.chain.drop(2)
    await follow(loop)
    assert (await house.clockwork.tip()).height == 101


async def test_conflict_that_wins_a_reorg_ends_the_competition(house, loop: ChainLoop, waiting: str) -> None:
    await follow(loop)
    house.chain.mine(FUNDING)
    await follow(loop)
    await drain(house)
    house.chain.drop()
    house.chain.mine(RIVAL, branch="new")
    await follow(loop)
    await drain(house)
    assert isinstance(await house.state(waiting), s.Returning)


async def test_reorg_below_the_first_stored_block_misses_nothing(house, loop: ChainLoop, waiting: str) -> None:
    chain = house.chain
    deep = DataChain(base=98)
    deep.mine(branch="new")
    deep.mine(FUNDING, branch="new")
    deep.mine(branch="new")
    await follow(loop)
    chain.base, chain.blocks = deep.base, deep.blocks
    await follow(loop)
    assert (await house.clockwork.tip()).height == 101
    assert (await house.store.lane(waiting)).confirmed == {b.FUNDING: 100}


async def test_node_that_is_shorter_than_the_first_stored_block_is_waited_for(house, loop: ChainLoop) -> None:
    blocks = house.chain.blocks
    house.chain.base, house.chain.blocks = 90, [DataChain(base=90).blocks[0]]
    assert not await loop.step()
    assert (await house.clockwork.tip()).height == 100
    house.chain.base, house.chain.blocks = 100, blocks
    assert not await loop.step()


async def test_a_block_that_was_stored_by_a_life_that_was_cut_off_is_stored_once(
    house, loop: ChainLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the disk was slow: the commit was made, and nobody was told."""
    write = house.store.write

    @asynccontextmanager
    async def cut_off() -> AsyncIterator[object]:
        async with write() as tx:
            yield tx
        raise asyncio.CancelledError

    house.chain.mine()
    with monkeypatch.context() as slow:
        slow.setattr(house.store, "write", cut_off)
        with pytest.raises(asyncio.CancelledError):
            await loop.run()
    house.chain.mine()
    life, told = asyncio.create_task(loop.run()), asyncio.create_task(house.wakeups.in_step.wait())
    await asyncio.wait({life, told}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    for task in (life, told):
        task.cancel()
    _, heard = await asyncio.gather(life, told, return_exceptions=True)
    assert heard is True
    assert (await house.store.tip()).height == 102


async def test_unreachable_node_is_waited_for(house, loop: ChainLoop) -> None:
    house.chain.mine()
    house.chain.away = True
    task = asyncio.create_task(loop.run())
    for _ in range(20):
        await asyncio.sleep(0)
    house.chain.away = False
    async with asyncio.timeout(10):
        await house.wakeups.apply.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await house.clockwork.tip()).height == 101


class TestTimers:
    async def set(self, house, name: str, **due: int) -> None:
        await house.lane(b.event_created(), name=name)
        wake = Wake(**{key: UnixTime(value) if key != "height" else Height(value) for key, value in due.items()})
        async with house.store.write() as tx:
            await tx.set_wake(name, wake)

    async def test_block_fires_what_waits_for_its_height_or_its_time(self, house, loop: ChainLoop) -> None:
        time = GENESIS_TIME + 101 * BLOCK_SECONDS
        await self.set(house, "height", height=101)
        await self.set(house, "domain", domain=time)
        await self.set(house, "wall", wall=house.clock.seconds)
        await self.set(house, "later", height=102, domain=time + 1, wall=house.clock.seconds + 1)
        house.chain.mine()
        await follow(loop)
        assert await inbox(house) == [("domain", "block"), ("height", "block"), ("wall", "block")]
        assert {row[0] for row in await house.rows("SELECT lane FROM timer")} == {"later"}

    async def test_reorg_wakes_whoever_waits_for_the_next_block_and_no_date(self, house, loop: ChainLoop) -> None:
        house.chain.mine()
        await follow(loop)
        house.clock.seconds = GENESIS_TIME + 10**8
        await self.set(house, "height", height=102)
        await self.set(house, "domain", domain=GENESIS_TIME + 102 * BLOCK_SECONDS)
        house.chain.drop()
        await loop.step()
        assert await inbox(house) == [("height", "reorg")]

    async def test_timer_loop_fires_by_wall_and_domain_once(self, house) -> None:
        await self.set(house, "wall", wall=house.clock.seconds + 10)
        await self.set(house, "domain", domain=GENESIS_TIME + 100 * BLOCK_SECONDS)
        await self.set(house, "height", height=101)
        timers = TimerLoop(house.store, house.clockwork, house.wakeups)
        await timers.step()
        assert await inbox(house) == [("domain", "timer")]
        house.clock.seconds += 10
        await timers.step()
        await timers.step()
        assert await inbox(house) == [("domain", "timer"), ("wall", "timer")]

    async def test_timer_fires_again_in_the_same_second_after_a_restart(self, house) -> None:
        for _ in range(2):
            async with house.store.write() as tx:
                if await tx.load("lane") is None:
                    await tx.create_lane("lane", b'{"state":"created"}', "created", UnixTime(0))
                await tx.set_wake("lane", Wake(wall=UnixTime(house.clock.seconds)))
            await TimerLoop(house.store, house.clockwork, house.wakeups).step()
        assert await inbox(house) == [("lane", "timer")] * 2

    async def test_wall_clock_is_the_domain_clock_outside_development(self, house) -> None:
        real = Clockwork(house.clock, house.store, chain_time=False)
        assert await real.domain() == house.clock.seconds
        assert await house.clockwork.domain() == GENESIS_TIME + 100 * BLOCK_SECONDS


def test_hits_of_a_block_are_found_by_its_transactions() -> None:
    chain = DataChain()
    block = chain.mine(FUNDING, transaction("8" * 64))
    paid, spent = Watch("t", b.FUNDING), Watch("o", COIN)
    wanted = {b.FUNDING: [("a", paid), ("b", paid)], COIN: [("a", spent)], "7" * 64: [("a", Watch("t", "7" * 64))]}
    hits = {(hit.lane, hit.watch.keytype, hit.txid) for hit in find_hits(merged(block), wanted)}
    assert hits == {("a", "t", b.FUNDING), ("b", "t", b.FUNDING), ("a", "o", b.FUNDING)}


@pytest.mark.parametrize(("terms", "needed"), [(b.terms_with(), 1), (b.terms_with(b.MAINNET), 3)])
async def test_depth_is_counted_in_confirmations_and_not_in_heights(house, loop: ChainLoop, terms, needed: int) -> None:
    """The state moves with exactly as many blocks as the terms ask for (mistake 42)."""
    lane = await house.lane(b.funding_broadcasted(), *b.seats(), b.pinned(), b.built("funding", b.FUNDING), terms=terms)
    await house.apply(lane)
    for depth in range(1, needed + 1):
        house.chain.mine(*([FUNDING] if depth == 1 else []))
        await follow(loop)
        await drain(house)
        assert isinstance(await house.state(lane), s.FundingConfirmed) is (depth == needed)


async def test_a_spend_by_an_unknown_transaction_is_kept_with_its_txid(house, loop: ChainLoop, waiting: str) -> None:
    house.chain.mine(RIVAL)
    await follow(loop)
    record = await house.store.lane(waiting)
    assert (record.spent[COIN].txid, record.spent[COIN].height) == (b.STRANGER, 101)
    assert await house.rows("SELECT keytype, key, txid FROM chain_hit") == [("o", COIN, b.STRANGER)]


async def test_what_follows_from_the_node_is_said_of_it(house) -> None:
    """Silence, nonsense and refused credentials are told apart."""
    loop = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=0.0)
    for error, state in (
        (Unreachable("node", "no answer", fault=Fault.NODE), ChainState.CONNECTING),
        (Unsuitable("node", "the node refused the RPC credentials", fault=Fault.COORDINATOR), ChainState.FAILED),
    ):
        loop._note(error)
        assert loop._lookout.report().state is state
        await loop.step()
        assert loop._lookout.report().state is ChainState.SYNCED
