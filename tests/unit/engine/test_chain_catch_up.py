"""Catching up: many blocks asked for at once, stored in their order, whatever the node does meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.adapters.store.chain_rows import ChainRows
from coordinator.engine.chain import ChainLoop
from coordinator.engine.chain.fetching import LARGEST_WINDOW, LEAST_WINDOW, TAKEN_BYTES, WINDOW_BYTES, Prefetch
from coordinator.engine.chain.lookout import ChainState, Lookout
from coordinator.engine.vitals import Vitals
from coordinator.ports.bitcoin import Block
from coordinator.ports.faults import Garbled, Unreachable
from coordinator.ports.following import Watch
from coordinator_core.errors import Fault
from coordinator_core.units import Height
from tests.support import lanes as b
from tests.support.ports import DataChain, transaction

SPENDS = [transaction(f"{number:064x}", f"{number:064x}:1") for number in range(1_000, 1_200)]


@dataclass
class Slow(DataChain):
    """Takes a few turns of the event loop for each block, another number for each; some answers are broken."""

    turns: Callable[[], int] = lambda: 0
    broken: Callable[[Height], Exception | None] = lambda _: None
    under_way: int = 0
    most: int = 0
    asked: list[int] = field(default_factory=list[int])

    async def block_at(self, height: Height) -> Block | None:
        self.asked.append(int(height))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(self.turns()):
                await asyncio.sleep(0)
            if (error := self.broken(height)) is not None:
                raise error
            return await super().block_at(height)
        finally:
            self.under_way -= 1


def unreachable(_: Height) -> Exception:
    return Unreachable("node", "no answer", fault=Fault.NODE)


def garbled(_: Height) -> Exception:
    return Garbled("node", "block: the transactions are not those of the header", fault=Fault.NODE)


def long_chain(count: int, **more: Any) -> Slow:
    """So many blocks above 100, each tenth with a spend of a watched coin."""
    chain = Slow(**more)
    for number in range(count):
        chain.mine(*([SPENDS[number // 10]] if number % 10 == 0 else []))
    return chain


async def taken(prefetch: Prefetch, first: int, last: int, most: int = 1_000) -> list[int]:
    return [int(block.height) for block in await prefetch.take(Height(first), Height(last), most)]


class TestPrefetch:
    @pytest.mark.parametrize("seed", range(8))
    async def test_blocks_come_in_their_order_whatever_order_the_answers_have(self, seed: int) -> None:
        dice = random.Random(seed)
        chain = long_chain(150, turns=lambda: dice.randrange(40))
        prefetch, got = Prefetch(chain), [100]
        while got[-1] < 250:
            got += await taken(prefetch, got[-1] + 1, 250, dice.randrange(1, 40))
        assert got == list(range(100, 251))
        assert 4 <= chain.most <= 32
        assert sorted(chain.asked) == list(range(101, 251)), "each block is asked for once"

    async def test_the_window_grows_while_blocks_are_waited_for_and_shrinks_while_they_wait(self) -> None:
        chain = long_chain(600, turns=lambda: 50)
        prefetch, at = Prefetch(chain), 101
        while prefetch.window < LARGEST_WINDOW:
            at += len(await taken(prefetch, at, 700, 1))
        assert chain.most <= 32
        chain.turns = lambda: 0
        while prefetch.window > LEAST_WINDOW:
            at += len(await taken(prefetch, at, 700, 1))
            for _ in range(60):
                await asyncio.sleep(0)
            assert at < 650
        await prefetch.aclose()

    async def test_large_blocks_make_a_small_window(self) -> None:
        chain = long_chain(60)
        size = WINDOW_BYTES // 3
        chain.blocks = [bigger(block, size) for block in chain.blocks]
        prefetch, at = Prefetch(chain), 101
        at += len(await taken(prefetch, at, 160, 1))
        for _ in range(LARGEST_WINDOW):
            await asyncio.sleep(0)
        while at < 130:
            chain.asked.clear()
            got = await taken(prefetch, at, 160)
            assert len(got) == 1, f"{TAKEN_BYTES} bytes at once are one of these"
            at += 1
            assert max(chain.asked, default=at) - at < 3
        await prefetch.aclose()

    async def test_a_later_block_that_fails_costs_the_earlier_ones_nothing(self) -> None:
        chain = long_chain(10, broken=lambda height: unreachable(height) if height == 103 else None)
        prefetch = Prefetch(chain)
        assert await taken(prefetch, 101, 110) == [101, 102]
        with pytest.raises(Unreachable):
            await taken(prefetch, 103, 110)
        chain.broken = lambda _: None
        got = await taken(prefetch, 103, 110)
        while got[-1] < 110:
            got += await taken(prefetch, got[-1] + 1, 110)
        assert got == list(range(103, 111))

    async def test_a_failure_of_before_is_no_answer_of_now(self) -> None:
        """What failed while nobody waited for it is asked for again before anybody is told."""
        chain = long_chain(10)
        chain.broken = lambda height: unreachable(height) if height == 103 and chain.asked.count(103) == 1 else None
        prefetch = Prefetch(chain)
        got = await taken(prefetch, 101, 110)
        while got[-1] < 110:
            got += await taken(prefetch, got[-1] + 1, 110)
        assert got == list(range(101, 111))
        assert chain.asked.count(103) == 2

    async def test_a_start_elsewhere_forgets_what_was_asked_for(self) -> None:
        chain = long_chain(40, turns=lambda: 30)
        prefetch = Prefetch(chain)
        await taken(prefetch, 101, 140, 1)
        assert await taken(prefetch, 120, 140, 1) == [120]
        assert chain.under_way <= prefetch.window
        await prefetch.aclose()
        assert chain.under_way == 0

    async def test_above_the_tip_there_is_nothing(self) -> None:
        prefetch = Prefetch(long_chain(2))
        assert await taken(prefetch, 103, 110) == []
        await prefetch.aclose()


def bigger(block: Block, size: int) -> Block:
    fields = {name: getattr(block, name) for name in block.__struct_fields__}
    return Block(**{**fields, "size": size})


@dataclass
class Following:
    """A loop over a slow chain, and a lane that watches every coin."""

    house: Any
    chain: Slow
    vitals: Vitals = field(default_factory=Vitals)

    def __post_init__(self) -> None:
        self.lookout = Lookout(self.vitals.clock, self.house.clock.now)
        self.loop = self.fresh()

    def fresh(self) -> ChainLoop:
        more = {"poll_seconds": 0.0, "vitals": self.vitals, "lookout": self.lookout}
        return ChainLoop(self.house.store, self.chain, self.house.clockwork, self.house.wakeups, **more)

    async def watch(self) -> None:
        await self.house.lane(b.funding_broadcasted())
        async with self.house.store.write() as tx:
            spends = {Watch("o", str(spend.spends[0])): Height(101) for spend in SPENDS}
            await tx.set_watches(b.LANE, spends | {Watch("t", spend.txid): Height(101) for spend in SPENDS[::3]})

    async def catch_up(self, steps: int = 10_000) -> list[int]:
        """Cursor after each step that moved it; what fails is tried again."""
        heights: list[int] = []
        for _ in range(steps):
            try:
                moved = await self.loop.step()
            except (Unreachable, Garbled):
                continue
            heights.append((await self.house.store.tip()).height)
            if not moved:
                return heights
        return heights

    async def stored(self) -> tuple[object, object]:
        blocks = await self.house.rows("SELECT height, hash, prev FROM chain_block ORDER BY height")
        hits = await self.house.rows("SELECT key, txid, block_hash FROM chain_hit ORDER BY keytype, key")
        return blocks, hits

    async def agrees(self) -> bool:
        """The stored chain and its hits are exactly the node's."""
        blocks = [(x.height, x.block_hash, x.previous_hash) for x in self.chain.blocks]
        outpoints = [(str(t.spends[0]), t.txid, x.block_hash) for x in self.chain.blocks for t in x.transactions]
        found, hits = await self.stored()
        own = [row for row in hits if ":" in row[0]]  # type: ignore[attr-defined]
        return found == blocks and own == sorted(outpoints)


@pytest.fixture
async def following(house) -> Following:
    made = Following(house, long_chain(150))
    await made.watch()
    return made


async def test_many_blocks_in_few_transactions(following: Following) -> None:
    heights = await following.catch_up()
    assert heights[-1] == 250
    assert max(b - a for a, b in itertools.pairwise([100, *heights])) <= 32
    assert len(heights) < 75
    assert await following.agrees()
    assert following.lookout.report().state is ChainState.SYNCED


@pytest.mark.parametrize("seed", range(4))
async def test_the_order_of_answers_changes_nothing(following: Following, seed: int) -> None:
    dice = random.Random(seed)
    following.chain.turns = lambda: dice.randrange(30)
    heights = await following.catch_up()
    assert heights == sorted(heights)
    assert await following.agrees()


@pytest.mark.parametrize("error", [unreachable, garbled])
async def test_broken_answers_only_slow_it_down(following: Following, error: Callable[[Height], Exception]) -> None:
    """A third of them: each height is asked for until it is there, and none is left out."""
    dice = random.Random(7)
    following.chain.broken = lambda height: error(height) if dice.random() < 0.3 else None
    heights = await following.catch_up()
    assert heights == sorted(heights)
    assert await following.agrees()


async def test_a_restart_after_missed_blocks_needs_no_new_one(following: Following) -> None:
    """The poll is the truth: nothing has to happen for the gap to be seen."""
    following.chain.drop(100)
    await following.catch_up()
    for number in range(50):
        following.chain.mine(*([SPENDS[150 + number // 10]] if number % 10 == 0 else []))
    following.loop = following.fresh()
    await following.loop.start()
    assert (await following.catch_up())[-1] == 200
    assert await following.agrees()


async def test_a_batch_is_stored_whole_or_not_at_all(following: Following, monkeypatch) -> None:
    await following.loop.step()
    before = await following.stored()

    async def fail(*_: object) -> None:
        raise OSError("no space left on the device")

    with monkeypatch.context() as broken:
        broken.setattr(ChainRows, "watching", fail)
        with pytest.raises(OSError, match="no space"):
            await following.loop.step()
    assert await following.stored() == before
    following.loop = following.fresh()
    await following.catch_up()
    assert await following.agrees()


@pytest.mark.parametrize("deep", [1, 6, 40])
async def test_a_reorg_leaves_the_nodes_chain_and_its_hits(following: Following, deep: int) -> None:
    await following.catch_up()
    following.chain.drop(deep)
    for number in range(deep + 1):
        following.chain.mine(*([SPENDS[100 + number]] if number % 2 == 0 else []), branch="new")
    heights = await following.catch_up()
    assert min(heights) == 250 - deep, "one block at a time, to the fork and no further"
    assert await following.agrees()


@pytest.mark.parametrize("seed", range(6))
async def test_a_chain_that_never_stands_still_is_followed(following: Following, seed: int) -> None:
    """Branches change between any two answers, also in the middle of catching up."""
    dice = random.Random(seed)
    chain, spends = following.chain, iter(SPENDS[20:])
    chain.drop(140)

    def turns() -> int:
        if dice.random() < 0.1 and len(chain.blocks) > 12:
            chain.drop(dice.randrange(1, 7))
        if dice.random() < 0.5:
            chain.mine(*([next(spends)] if dice.random() < 0.3 else []), branch=str(dice.random()))
        return dice.randrange(8)

    chain.turns = turns
    for _ in range(80):
        await following.catch_up(steps=1)
    chain.turns = lambda: 0
    await following.catch_up()
    assert await following.agrees()


class TestRefusals:
    async def test_the_cursor_does_not_move_operators_hear_of_the_fifth_and_it_recovers(self, following) -> None:
        following.chain.broken = garbled
        for count in range(1, 6):
            with pytest.raises(Garbled):
                await following.loop.step()
            following.loop._note(garbled(Height(0)))  # type: ignore[arg-type]
            assert (following.lookout.report().state is ChainState.FAILED) is (count >= 5)
        assert (await following.house.store.tip()).height == 100
        assert "transactions are not those" in following.lookout.report().reason
        following.chain.broken = lambda _: None
        await following.catch_up()
        assert following.lookout.report().state is ChainState.SYNCED
        assert await following.agrees()

    async def test_a_block_that_does_not_follow_is_refused(self, following: Following) -> None:
        stranger = DataChain(base=101)
        honest, following.chain.blocks[1] = following.chain.blocks[1], stranger.blocks[0]
        with pytest.raises(Garbled, match="does not follow"):
            await following.loop.step()
        assert (await following.house.store.tip()).height == 100
        following.chain.blocks[1] = honest
        await following.catch_up()
        assert await following.agrees()

    async def test_one_in_the_middle_ends_the_batch_before_it(self, following: Following) -> None:
        stranger = DataChain(base=103)
        honest, following.chain.blocks[3] = following.chain.blocks[3], stranger.blocks[0]
        for _ in range(6):
            await following.catch_up(steps=1)
        assert (await following.house.store.tip()).height == 102
        following.chain.blocks[3] = honest
        await following.catch_up()
        assert await following.agrees()

    async def test_the_loop_waits_a_moment_and_counts(self, following: Following) -> None:
        answers = iter([garbled, garbled, unreachable])
        following.chain.broken = lambda height: next(answers, lambda _: None)(height) if height == 101 else None
        task = asyncio.create_task(following.loop.run())
        async with asyncio.timeout(20):
            while (await following.house.store.tip()).height < 250:
                await following.house.wakeups.apply.wait()
                following.house.wakeups.apply.clear()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        metrics = following.vitals.meters.exposition()
        assert "coordinator_chain_refused_total 2\n" in metrics
        assert "coordinator_blocks_total 150\n" in metrics


class TestHealing:
    async def test_a_tip_row_that_is_wrong_is_rolled_back(self, following: Following) -> None:
        await following.catch_up()
        async with following.house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE chain_block SET hash = 'spoilt' WHERE height = 250")
        following.house.clockwork.moved(None)
        heights = await following.catch_up()
        assert min(heights) == 249
        assert await following.agrees()

    async def test_a_node_that_fetches_its_blocks_again_is_waited_for(self, following: Following) -> None:
        await following.catch_up()
        gone = following.chain.drop(30)
        following.chain.headers = Height(250)
        assert not await following.loop.step()
        assert (await following.house.store.tip()).height == 250
        assert following.lookout.report().state is ChainState.SYNCED
        following.chain.blocks += gone
        following.chain.headers = None
        following.chain.mine()
        assert (await following.catch_up())[-1] == 251

    async def test_a_node_that_goes_back_to_a_shorter_chain_is_followed_down(self, following: Following) -> None:
        await following.catch_up()
        following.chain.drop(9)
        heights = await following.catch_up()
        assert heights[:9] == list(range(249, 240, -1))
        assert await following.agrees()
