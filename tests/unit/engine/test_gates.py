"""An irrevocable step asks node and Lightning at the moment it would be taken; what protects somebody asks nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.facts import PrizeState
from coordinator.domain.gates import GRACE, LIGHTNING_BEHIND, LIGHTNING_SILENT, NODE_SILENT
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.chain import ChainLoop
from coordinator.engine.chain.lookout import Lookout
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.engine import Engine
from coordinator.engine.gates import ChainGate, Gates
from coordinator.engine.operators.attention import FAILING, FAILING_SECONDS, attention
from coordinator.engine.worker import Worker
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import NodeInfo
from coordinator_core.errors import Fault
from tests.support import lanes as b

FUNDING = d.Broadcast(role="funding", attempt=1, contract=b.CONTRACT)
PAY = d.PayPrize(entry_id="entry-1", payment_hash=b.ticket_hash("entry-1", 9), cltv_limit=0)
OUTCOME = d.Broadcast(role="outcome", attempt=1, contract=b.CONTRACT)
AHEAD = "2 blocks of the Bitcoin node are not processed yet"


@dataclass
class Doors:
    """Gates in front of the duties of one lane."""

    bench: Any
    seconds: float = 1_000.0
    asked: list[str] = field(default_factory=list[str])
    lookout: Lookout = field(init=False)

    def __post_init__(self) -> None:
        self.lookout = Lookout(lambda: self.seconds, self.bench.house.clock.now)
        lightning = self.bench.services.lightning
        self._info = lightning.info
        lightning.info = self.info
        self.synced: bool | None = True

    async def info(self) -> NodeInfo:
        self.asked.append("lightning")
        if self.synced is None:
            raise Unreachable("lightning", "away", fault=Fault.LIGHTNING)
        known = await self._info()
        fields = {name: getattr(known, name) for name in known.__struct_fields__}
        return NodeInfo(**{**fields, "synced_to_chain": self.synced})

    @property
    def house(self) -> Any:
        return self.bench.house

    @property
    def gates(self) -> Gates:
        return Gates(ChainGate(self.bench.services, self.lookout))

    async def reason(self, duty: d.Duty, stopped: str | None = None) -> str | None:
        record = await self.house.store.lane(b.LANE)
        lane = codec.lane_of(record, await world_of(record, self.house.clockwork))
        return await self.gates.reason(duty, lane, stopped)

    def mine(self, count: int) -> None:
        for _ in range(count):
            self.house.chain.mine()

    async def follow(self) -> None:
        """What the chain loop does: the cursor comes up with the node."""
        loop = ChainLoop(
            *(self.house.store, self.house.chain, self.house.clockwork, self.house.wakeups),
            poll_seconds=0.0,
            lookout=self.lookout,
        )
        while await loop.step():
            pass


@pytest.fixture
def doors(bench) -> Doors:
    return Doors(bench)


@pytest.fixture
async def funding(doors: Doors) -> Doors:
    """A competition whose funding was not let go yet."""
    await doors.house.lane(b.funding_broadcasted(), *b.seats(), b.pinned())
    await doors.house.apply(b.LANE)
    return doors


async def test_nothing_is_held_while_all_are_in_step(funding: Doors) -> None:
    assert await funding.reason(FUNDING) is None
    funding.mine(1)
    assert await funding.reason(FUNDING) is None


async def test_a_node_that_was_ahead_when_we_came_holds_the_funding(funding: Doors) -> None:
    """Nobody knows since when its blocks are there: no grace. With the cursor it opens by itself."""
    funding.mine(2)
    assert await funding.reason(FUNDING) == AHEAD
    await funding.follow()
    assert await funding.reason(FUNDING) is None


async def test_blocks_have_two_minutes_to_be_processed(funding: Doors) -> None:
    assert await funding.reason(FUNDING) is None
    funding.mine(2)
    assert await funding.reason(FUNDING) is None
    funding.seconds += GRACE - 1
    assert await funding.reason(FUNDING) is None
    funding.seconds += 1
    assert await funding.reason(FUNDING) == AHEAD


async def test_a_newer_block_gives_the_older_ones_no_more_time(funding: Doors) -> None:
    """However often blocks come: those that are late count."""
    assert await funding.reason(FUNDING) is None
    for _ in range(3):
        funding.mine(1)
        await funding.reason(FUNDING)
        funding.seconds += GRACE - 30
    assert await funding.reason(FUNDING) == "3 blocks of the Bitcoin node are not processed yet"


async def test_blocks_after_a_silence_of_the_node_have_no_time(funding: Doors) -> None:
    assert await funding.reason(FUNDING) is None
    funding.seconds += GRACE
    funding.mine(2)
    assert await funding.reason(FUNDING) == AHEAD


async def test_it_is_judged_anew_each_time(funding: Doors) -> None:
    """Away, then unsynced, then in step: nothing is remembered as passed or as refused."""
    funding.house.chain.away = True
    assert await funding.reason(FUNDING) == NODE_SILENT
    funding.house.chain.away = False
    funding.synced = None
    assert await funding.reason(FUNDING) == LIGHTNING_SILENT
    funding.synced = False
    assert await funding.reason(FUNDING) == LIGHTNING_BEHIND
    funding.synced = True
    assert await funding.reason(FUNDING) is None
    funding.synced = False
    assert await funding.reason(FUNDING) == LIGHTNING_BEHIND


async def test_lightning_has_two_minutes_after_a_block(funding: Doors) -> None:
    assert await funding.reason(FUNDING) is None
    funding.mine(1)
    funding.synced = False
    assert await funding.reason(FUNDING) is None
    funding.seconds += GRACE
    assert await funding.reason(FUNDING) == LIGHTNING_BEHIND


async def test_blocks_that_come_all_the_time_excuse_lightning_for_two_minutes_in_all(funding: Doors) -> None:
    await funding.reason(FUNDING)
    funding.synced = False
    for _ in range(3):
        funding.mine(1)
        await funding.follow()
        held = await funding.reason(FUNDING)
        funding.seconds += GRACE / 2
    assert held == LIGHTNING_BEHIND


async def test_what_protects_asks_nobody(funding: Doors) -> None:
    funding.house.chain.away, funding.synced = True, None
    for duty in (OUTCOME, d.CancelInvoice(payment_hash="h"), d.SettleInvoice(entry_id="e", payment_hash="h")):
        assert await funding.reason(duty) is None
        assert await funding.reason(duty, stopped="contradiction") is None
    await funding.house.put(b.LANE, f.Sent(role="funding", txid=b.FUNDING))
    assert await funding.reason(FUNDING) is None
    assert funding.asked == []


async def test_a_stopped_competition_pays_and_funds_nothing_and_asks_nobody(funding: Doors) -> None:
    assert await funding.reason(FUNDING, stopped="contradiction") == "the competition is stopped: contradiction"
    assert await funding.reason(PAY, stopped="contradiction") == "the competition is stopped: nothing is sent"
    assert funding.asked == []


async def work(doors: Doors, kind: str, outcomes: list[str | None]) -> None:
    """Let a worker have this kind of duty as often as outcomes are wanted: why it was held, or None when it ran."""

    async def execute(task: Task[Any]) -> Outcome:
        outcomes.append(task.held)
        return Again(1e6, reason=task.held) if task.held is not None else Done()

    async with doors.house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (kind,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (kind,))
    doors.house.wakeups.apply.clear()
    worker = Worker(doors.house.store, doors.house.clockwork, doors.house.wakeups, {kind: execute}, gates=doors.gates)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await doors.house.wakeups.apply.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def error_of(doors: Doors, kind: str) -> object:
    [(error,)] = await doors.house.rows(f"SELECT last_error FROM duty WHERE kind = '{kind}'")
    return error


async def test_the_worker_keeps_a_funding_back_and_operators_see_why(funding: Doors) -> None:
    funding.mine(2)
    ran: list[str | None] = []
    for _ in range(FAILING):
        await work(funding, "chain.broadcast", ran)
    assert (ran, await error_of(funding, "chain.broadcast")) == ([], AHEAD)
    # A gate is asked every two seconds: eight times is no long while.
    house = funding.house
    assert await attention(house.store, house.clockwork, None) == ()
    house.clock.seconds += FAILING_SECONDS
    [item] = await attention(house.store, house.clockwork, None)
    assert (item.reason, item.lane) == (AHEAD, b.LANE)
    await funding.follow()
    await work(funding, "chain.broadcast", ran)
    assert ran == [None]


async def test_the_worker_lets_a_held_payment_ask_what_became_of_it(doors: Doors) -> None:
    facts = (b.pinned(), b.contract_signed(), b.attested(), b.payout("entry-1", PrizeState.PAYING), *b.seats())
    await doors.house.lane(b.outcome_broadcasted(), *facts)
    await doors.house.apply(b.LANE)
    doors.synced = False
    ran: list[str | None] = []
    await work(doors, "ln.pay", ran)
    assert (ran, await error_of(doors, "ln.pay")) == ([LIGHTNING_BEHIND], LIGHTNING_BEHIND)
    doors.synced = True
    await work(doors, "ln.pay", ran)
    assert ran == [LIGHTNING_BEHIND, None]


async def test_the_engine_puts_the_chain_before_its_worker(funding: Doors) -> None:
    funding.synced = False
    engine = Engine(funding.bench.services, poll_seconds=60.0)
    await engine.start()
    try:
        worker = engine._worker
        assert worker is not None
        gates = worker._attempts._gates
        # What the house's money has to say is said before, and proven elsewhere.
        gates._house = None
        record = await funding.house.store.lane(b.LANE)
        lane = codec.lane_of(record, await world_of(record, engine.clock))
        assert await gates.reason(FUNDING, lane, None) == LIGHTNING_BEHIND
        assert engine.health.report().chain.held == LIGHTNING_BEHIND
    finally:
        await engine.stop()
