"""An engine that started while a service was away: what it finds when that answers, and what it goes by until then."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from coordinator.adapters.bitcoin.vetted import VettedChain
from coordinator.adapters.lightning.versions import possible_cancel_deltas
from coordinator.adapters.lightning.vetted import VettedLightning
from coordinator.adapters.vetting import Vetting
from coordinator.domain.gates import LIGHTNING_SILENT, NODE_SILENT
from coordinator.engine.chain import ChainLoop
from coordinator.engine.components import ChainState, Dependency
from coordinator.engine.dependencies import NO_ANSWER, UNSUITABLE, Dependencies
from coordinator.engine.gates import ChainGate
from coordinator.engine.holds import remember, remembered
from coordinator.ports.condition import Condition
from coordinator.ports.faults import Unsuitable
from coordinator.ports.lightning import NodeInfo
from coordinator_core.errors import Fault
from coordinator_core.units import Blocks
from tests.support import lanes as b
from tests.support.keymeld_book import BookKeymeld
from tests.support.ports import LedgerLightning
from tests.support.scene import BookOracle

AWAY = Condition("", problem="ConnectError", answers=False)
WRONG = Condition("", problem="it is on mainnet", answers=False, unsuitable=True)
GOOD = Condition("")


@dataclasses.dataclass
class Service:
    """In whatever condition it is put."""

    found: Condition = AWAY
    service: str = "a service"

    async def condition(self) -> Condition:
        return self.found


class World:
    """Services behind their vetting, and the parts of an engine that ask them."""

    def __init__(self, bench: Any) -> None:
        self.house = bench.house
        self.node, self.lnd = Service(), Service()
        self.lightning = LedgerLightning()
        self.services = dataclasses.replace(
            bench.services,
            chain=VettedChain(bench.house.chain, Vetting(self.node, Fault.NODE)),
            lightning=VettedLightning(self.lightning, Vetting(self.lnd, Fault.LIGHTNING)),  # type: ignore[arg-type]
            keymeld=BookKeymeld(b.WALL),
            oracle=BookOracle(),
        )
        self.dependencies = Dependencies(self.services, self.house.clockwork, self.house.wakeups)
        self.loop = ChainLoop(
            *(self.house.store, self.services.chain, self.house.clockwork, self.house.wakeups),
            poll_seconds=0.0,
            lookout=self.dependencies.lookout,
        )
        self.gate = ChainGate(self.services, self.dependencies.lookout)

    async def away(self) -> dict[Dependency, str]:
        await self.dependencies.look()
        return {away.dependency: away.reason for away in self.dependencies.away}


@pytest.fixture
def world(bench) -> World:
    return World(bench)


async def test_both_are_waited_for(world: World) -> None:
    assert await world.away() == {Dependency.LIGHTNING: NO_ANSWER, Dependency.CHAIN: NO_ANSWER}
    assert await world.gate() == NODE_SILENT
    world.node.found = GOOD
    assert await world.away() == {Dependency.LIGHTNING: NO_ANSWER}
    assert await world.gate() == LIGHTNING_SILENT
    world.lnd.found = GOOD
    assert await world.away() == {}
    assert await world.gate() is None


async def test_the_wrong_lightning_moves_no_money(world: World) -> None:
    world.node.found, world.lnd.found = GOOD, WRONG
    world.dependencies.lookout.lightning(True)
    assert await world.away() == {Dependency.LIGHTNING: UNSUITABLE}
    assert world.dependencies.lookout.lightning_in_step is None
    assert await world.gate() == LIGHTNING_SILENT


async def test_blocks_of_the_wrong_chain_take_no_place_of_ours(world: World) -> None:
    """It has another block at our height: followed, it would roll ours back."""
    before = await world.house.rows("SELECT height, hash FROM chain_block ORDER BY height")
    ours = world.house.chain.drop()
    world.house.chain.mine(branch="b")
    world.node.found = WRONG
    with pytest.raises(Unsuitable, match="mainnet") as wrong:
        await world.loop.step()
    world.loop._note(wrong.value)
    assert await world.house.rows("SELECT height, hash FROM chain_block ORDER BY height") == before
    assert await world.away() == {Dependency.LIGHTNING: NO_ANSWER, Dependency.CHAIN: UNSUITABLE}
    report = world.dependencies.lookout.report()
    assert (report.state, report.held) == (ChainState.FAILED, NODE_SILENT)
    assert await world.gate() == NODE_SILENT
    world.house.chain.drop()
    world.house.chain.blocks.extend(ours)
    world.house.chain.mine()
    world.node.found = GOOD
    assert await world.loop.step()
    assert world.dependencies.lookout.report().state is ChainState.SYNCED


class TestHolds:
    async def test_until_it_answers_what_it_was_seen_with_counts_else_the_safer(self, world: World) -> None:
        store, possible = world.house.store, possible_cancel_deltas(None)
        assert await remembered(store, possible) == 18
        await remember(store, Blocks(12))
        assert await remembered(store, possible) == 12
        await remember(store, Blocks(18))
        await remember(store, Blocks(18))
        assert await remembered(store, possible) == 18
        assert await remembered(store, possible_cancel_deltas(Blocks(40))) == 40

    async def test_what_it_says_itself_counts_at_once_and_at_the_next_start(self, world: World) -> None:
        async def old() -> NodeInfo:
            known = await LedgerLightning().info()
            return NodeInfo(known.version, known.network, known.block_height, True, known.public_key, Blocks(12))

        world.lightning.info = old  # type: ignore[method-assign]
        await world.away()
        assert world.house.clockwork.cancel_delta == 18
        world.lnd.found = GOOD
        await world.away()
        assert world.house.clockwork.cancel_delta == 12
        assert await remembered(world.house.store, possible_cancel_deltas(None)) == 12
