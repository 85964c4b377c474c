"""Fifty requests at once for one prize, and a node whose answers get lost: one payout lives, one payment leaves.

The real store, `submit`, gates and worker; what is replaced is the node, which counts what was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.facts import PrizeState
from coordinator.engine.applier import Applier
from coordinator.engine.chain import ChainLoop
from coordinator.engine.commands import payouts
from coordinator.engine.executors.prizes import PayPrizeExecutor
from coordinator.engine.gates import Gates
from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.operators.acting import House as Place
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import SettleOnly
from coordinator.engine.submit import Conflict, submit
from coordinator.engine.vitals import Vitals
from coordinator.engine.worker import Worker
from coordinator.ports import lightning as ln
from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.errors import Fault, Refused
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds
from tests.support import lanes as b
from tests.support import scene
from tests.support.ports import LedgerLightning, transaction
from tests.unit.engine.commands.test_payouts import OUTPUT, SIGNER, STATE, invoice, net, winner

REQUESTS = 50
LOST = "the answer got lost"


@dataclass
class LossyNode(LedgerLightning):
    """Pays what it is given, and loses the answer of every call but each third one."""

    paid: list[str] = field(default_factory=list[str])
    asked: int = 0

    def _lose(self) -> None:
        self.asked += 1
        if self.asked % 3:
            raise Unreachable("lightning", LOST, fault=Fault.LIGHTNING)

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> ln.Payment:
        known = self.payments.get(payment_request)
        if known is not None:
            raise Rejected("lightning", "payment is in flight or paid", fault=Fault.COORDINATOR)
        made = ln.Payment(payment_request, ln.PaymentState.SUCCEEDED, "07" * 32, Sats(1))
        self.payments[payment_request] = made
        self.paid.append(payment_request)
        self._lose()
        return made

    async def payment(self, payment_hash: str) -> ln.Payment:
        self._lose()
        return await super().payment(payment_hash)


@dataclass
class Till:
    """One competition that pays out, and the coordinator that pays."""

    house: Any
    node: LossyNode
    office: MoneyOffice
    player: scene.Player
    due: int

    async def ask(self, number: int, key: str, *, same: bool = False) -> bytes:
        """A request with its own invoice, or with the one that every request has."""
        payment_hash = hashlib.sha256(b"one" if same else bytes([number])).digest()
        decide = payouts.ask(
            self.player.identity.x_only.hex(),
            self.player.name,
            invoice(self.due, payment_hash),
            payment_hash.hex(),
            Secret(self.player.payout_preimage),
            SIGNER,
            OUTPUT,
        )
        parts = (self.house.store, self.house.clockwork, self.house.wakeups)
        return await submit(*parts, lane=b.LANE, kind="payout", dkey=key, decide=decide)

    async def pay(self) -> None:
        """Work until the prize is paid."""
        await self.work(self.is_paid)

    async def work(self, enough: Callable[[], Awaitable[bool]]) -> None:
        """Work until it is enough."""
        house, work = self.house, {"ln.pay": PayPrizeExecutor(self.office._services)}
        worker = Worker(*(house.store, house.clockwork, house.wakeups, work), gates=Gates(house=self.office.gate.held))
        running = asyncio.create_task(worker.run())
        applier = Applier(house.store, house.clockwork, house.wakeups)
        try:
            async with asyncio.timeout(20):
                while not await enough():
                    while await applier.step():
                        pass
                    await house.rows("SELECT 1")
                    async with house.store.write() as tx:
                        await tx.hurry(0.0, lane=b.LANE)
                    house.wakeups.duties.set()
                    await asyncio.sleep(0)
        finally:
            worker.finish()
            await running

    async def is_paid(self) -> bool:
        record = await self.house.store.lane(b.LANE)
        return any(payout.state is PrizeState.PAID for payout in record.facts.all(f.Payout))


@pytest.fixture
async def till(bench: Any, house: Any) -> Till:
    story = b.Story().put(b.pinned(), b.attested()).set(wall=b.WALL)
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms))
    house.clock.seconds = b.WALL
    player = winner(story)
    await house.lane(STATE, *(fact for fact in story.facts if not isinstance(fact, f.Published)))
    await house.apply(b.LANE)
    house.chain.mine(transaction(b.FUNDING, b.COIN))
    chain = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=1.0)
    while await chain.step():
        pass
    node = LossyNode()
    services = replace(bench.services, lightning=node)
    place = Place(house.store, house.clockwork, house.wakeups)
    office = MoneyOffice(services, place, Freezer(place), SettleOnly(place, configured=False), Vitals())
    office.reconciliation.finished_at = house.clock.now()
    return Till(house, node, office, player, net(story, player))


async def flood(till: Till, *, same: bool) -> tuple[list[bytes], list[Exception]]:
    order = list(range(REQUESTS))
    random.Random(7).shuffle(order)
    found = await asyncio.gather(*(till.ask(n, f"key-{n}", same=same) for n in order), return_exceptions=True)
    return [a for a in found if isinstance(a, bytes)], [e for e in found if isinstance(e, Exception)]


@pytest.mark.parametrize("same", [True, False], ids=["one invoice", "fifty invoices"])
async def test_fifty_requests_at_once_make_one_payment(till: Till, same: bool) -> None:
    answers, refused = await flood(till, same=same)
    assert len(answers) == 1
    assert len(refused) == REQUESTS - 1
    assert all(isinstance(error, Conflict | Refused) for error in refused)
    assert await till.house.rows("SELECT count(*) FROM fact WHERE kind = 'payout'") == [(1,)]
    assert await till.house.rows("SELECT count(*) FROM reservation WHERE resource LIKE 'payout:%'") == [(1,)]
    await till.pay()
    assert len(till.node.paid) == 1
    assert (await till.house.rows("SELECT count(*) FROM duty WHERE kind = 'ln.pay'"))[0][0] == 1
    # Whoever comes later is refused as well.
    with pytest.raises(Conflict, match="is PAID"):
        await till.ask(99, "late")
    assert len(till.node.paid) == 1


async def test_one_request_repeated_after_lost_answers_gets_the_answer_it_had(till: Till) -> None:
    answers = await asyncio.gather(*(till.ask(1, "the same key") for _ in range(REQUESTS)))
    assert len(set(answers)) == 1
    await till.pay()
    assert len(till.node.paid) == 1
    assert await till.ask(1, "the same key") == answers[0]


async def test_a_prize_that_was_paid_without_a_row_is_not_paid_again(till: Till) -> None:
    """As after a restore: the node has paid somebody exactly this prize, and nothing here explains it."""
    stranger = ln.OutgoingPayment("77" * 32, ln.PaymentState.SUCCEEDED, till.due * 1_000, b.WALL + 5)
    till.office.reconciliation.unexplained.payments = (stranger,)
    await till.ask(1, "key")

    async def tried() -> bool:
        return till.node.asked >= 12

    await till.work(tried)
    assert till.node.paid == []
    logged = await till.house.rows("SELECT DISTINCT error FROM duty_attempt WHERE duty LIKE '%/ln.pay/%'")
    # Of each three questions the node answers one: then it is the stranger that holds the prize back.
    assert {error for (error,) in logged} == {
        str(Unreachable("lightning", LOST, fault=Fault.LIGHTNING)),
        f"payment {'77' * 32}, which nothing here explains, may have paid this prize already",
    }
    [need] = till.office.needs()
    assert (need.kind, need.lane) == ("unexplained", b.LANE)
    assert f"coordinator admin explain {'77' * 32}" in need.fix
    till.office.reconciliation.unexplained.explain("77" * 32)
    await till.pay()
    assert len(till.node.paid) == 1


def test_the_prize_is_one_that_was_won(till: Till) -> None:
    assert till.due in {share.net for share in settling.shares(b.Story().lane, STATE.roster, STATE.outcome)}
