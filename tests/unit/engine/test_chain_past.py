"""Watches that are set late: looked for from their height on, each for itself, in slices, however the chain moves."""

from __future__ import annotations

import pytest

from coordinator.domain.competitions.states import DeltaBroadcasted
from coordinator.engine.chain import ChainLoop
from coordinator.engine.chain.watching import SEARCHED_AT_ONCE
from coordinator.ports.following import Watch
from coordinator_core.units import Height
from tests.support import lanes as b
from tests.support.ports import DataChain, transaction

COIN = f"{'c' * 64}:0"
FUNDING = transaction(b.FUNDING, COIN)


@pytest.fixture
def loop(house) -> ChainLoop:
    return ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=0.0)


class CountingChain(DataChain):
    """Remembers which blocks were asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[int] = []

    async def block_at(self, height: Height):
        self.asked.append(int(height))
        return await super().block_at(height)


@pytest.fixture
def counted(house) -> tuple[CountingChain, ChainLoop]:
    chain = CountingChain(blocks=house.chain.blocks)
    return chain, ChainLoop(house.store, chain, house.clockwork, house.wakeups, poll_seconds=0.0)


async def follow(loop: ChainLoop) -> None:
    for _ in range(200):
        if not await loop.step():
            return
    raise AssertionError("it does not end")


async def watch(house, since: int, key: str = b.FUNDING, kind: str = "t", lane: str = b.LANE) -> None:
    if await house.store.lane(lane) is None:
        await house.lane(b.funding_broadcasted(), name=lane)
    async with house.store.write() as tx:
        await tx.set_watches(lane, {Watch(kind, key): Height(since)})


async def test_what_confirmed_ten_blocks_ago_is_found_without_a_restart(house, counted) -> None:
    chain, loop = counted
    chain.mine(FUNDING)
    for _ in range(9):
        chain.mine()
    await follow(loop)
    chain.asked.clear()
    await watch(house, since=101)
    await watch(house, 101, COIN, "o")
    await follow(loop)
    record = await house.store.lane(b.LANE)
    assert record.confirmed == {b.FUNDING: 101}
    assert record.spent[COIN].txid == b.FUNDING
    assert await house.rows("SELECT lane, kind FROM inbox") == [(b.LANE, "block")]
    # Each block once, for both.
    assert sorted(chain.asked) == list(range(101, 111))
    assert await house.store.unfilled_watches() == []


async def test_only_from_its_height_on(house, counted) -> None:
    chain, loop = counted
    for _ in range(20):
        chain.mine()
    await follow(loop)
    chain.asked.clear()
    await watch(house, since=118)
    await follow(loop)
    assert sorted(chain.asked) == [118, 119, 120]


async def test_what_can_only_be_in_the_next_block_costs_no_search(house, counted) -> None:
    chain, loop = counted
    await watch(house, since=101)
    await follow(loop)
    assert chain.asked == []
    chain.mine(FUNDING)
    await follow(loop)
    assert (await house.store.lane(b.LANE)).confirmed == {b.FUNDING: 101}


async def test_a_long_past_is_searched_in_slices_and_a_kill_takes_one_back(house, counted) -> None:
    chain, loop = counted
    chain.mine(FUNDING)
    for _ in range(3 * SEARCHED_AT_ONCE):
        chain.mine()
    await follow(loop)
    await watch(house, since=101)
    await loop.step()
    [search] = await house.store.unfilled_watches()
    assert search.height == 101 + SEARCHED_AT_ONCE
    assert (await house.store.lane(b.LANE)).confirmed == {b.FUNDING: 101}
    chain.asked.clear()
    # Another process goes on where this one was.
    again = ChainLoop(house.store, chain, house.clockwork, house.wakeups, poll_seconds=0.0)
    await follow(again)
    assert min(chain.asked) == 101 + SEARCHED_AT_ONCE
    assert await house.store.unfilled_watches() == []


async def test_a_search_of_one_holds_no_block_back_from_another(house, counted) -> None:
    """The tip is followed between the slices."""
    chain, loop = counted
    for _ in range(3 * SEARCHED_AT_ONCE):
        chain.mine()
    await follow(loop)
    await watch(house, since=101)
    await watch(house, 101 + 3 * SEARCHED_AT_ONCE, "dd" * 32, lane="other")
    chain.mine(transaction("dd" * 32))
    await loop.step()
    assert (await house.store.lane("other")).confirmed == {"dd" * 32: 101 + 3 * SEARCHED_AT_ONCE}
    assert [s.lane for s in await house.store.unfilled_watches()] == [b.LANE]


async def test_a_search_across_a_reorg_finds_what_the_new_branch_holds(house, loop: ChainLoop) -> None:
    """What was found on the branch that is left goes with it, whenever that is noticed."""
    for number in range(4):
        house.chain.mine(*([FUNDING] if number == 0 else []), branch="old")
    await follow(loop)
    await watch(house, since=101)
    house.chain.drop(4)
    for number in range(5):
        house.chain.mine(*([FUNDING] if number == 3 else []), branch="new")
    await follow(loop)
    assert (await house.store.lane(b.LANE)).confirmed == {b.FUNDING: 104}
    assert await house.store.unfilled_watches() == []


async def test_nothing_is_believed_of_blocks_that_do_not_follow_each_other(house, loop: ChainLoop) -> None:
    for _ in range(4):
        house.chain.mine()
    await follow(loop)
    await watch(house, since=101)
    stranger = DataChain(base=101)
    honest = house.chain.blocks[2]
    house.chain.blocks[2] = stranger.mine(FUNDING, branch="stranger")
    await loop.step()
    assert (await house.store.lane(b.LANE)).confirmed == {}
    assert len(await house.store.unfilled_watches()) == 1
    house.chain.blocks[2] = honest
    await follow(loop)
    assert await house.store.unfilled_watches() == []


async def test_a_hit_in_a_block_that_was_forgotten_brings_the_block_back(house, loop: ChainLoop) -> None:
    house.chain.mine(FUNDING)
    for _ in range(5):
        house.chain.mine()
    await follow(loop)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("DELETE FROM chain_block WHERE height BETWEEN 100 AND 103")
    await watch(house, since=100)
    await follow(loop)
    assert (await house.store.lane(b.LANE)).confirmed == {b.FUNDING: 101}
    assert (await house.store.tip()).height == 106


async def test_rolled_back_below_a_search_it_is_done(house, loop: ChainLoop) -> None:
    for _ in range(3):
        house.chain.mine()
    await follow(loop)
    await watch(house, since=103)
    house.chain.drop(2)
    await follow(loop)
    assert await house.store.unfilled_watches() == []
    house.chain.mine()
    house.chain.mine(FUNDING, branch="new")
    await follow(loop)
    assert (await house.store.lane(b.LANE)).confirmed == {b.FUNDING: 103}


@pytest.mark.parametrize("together", [True, False])
async def test_funding_outcome_and_split_in_one_block_end_as_in_three(house, loop: ChainLoop, together: bool) -> None:
    """What a state watches is known only once it is entered: the block is searched again from the parent's height."""
    spends = [
        transaction(b.FUNDING, COIN),
        transaction(b.OUTCOME, f"{b.FUNDING}:0"),
        transaction(b.SPLIT, f"{b.OUTCOME}:0"),
    ]
    await house.lane(b.awaiting_attestation(), *b.seats(), b.pinned(), b.contract_signed(), b.attested(0))
    await house.apply(b.LANE)
    for transactions in [spends] if together else [[one] for one in spends]:
        house.chain.mine(*transactions)
        await settle(house, loop)
    record = await house.store.lane(b.LANE)
    assert {out: seen.txid for out, seen in record.spent.items()} == {
        COIN: b.FUNDING,
        f"{b.FUNDING}:0": b.OUTCOME,
        f"{b.OUTCOME}:0": b.SPLIT,
    }
    assert set(record.confirmed) == {b.FUNDING, b.OUTCOME, b.SPLIT}
    state = await house.state(b.LANE)
    assert isinstance(state, DeltaBroadcasted)
    assert state.split_txid == b.SPLIT


async def settle(house, loop: ChainLoop) -> None:
    """Blocks and states until neither moves."""
    moved = True
    while moved:
        await follow(loop)
        moved = await house.applier.step()
