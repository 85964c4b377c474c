"""The money loop: compares with the outside before any money moves, looks at the books, then asks oracle and keymeld
what they can do; all of it again from time to time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from coordinator.engine.components import Child
from coordinator.engine.executors.services import Services
from coordinator.engine.money.audit import EVERY_SECONDS, Audit
from coordinator.engine.money.gate import MoneyGate
from coordinator.engine.money.handshake import Handshake, pin_name
from coordinator.engine.money.needs import of_alarms, of_audit, of_handshake, of_reconciliation
from coordinator.engine.new_money import COORDINATOR, OPERATOR, Pause
from coordinator.engine.operators.acting import By, House, Verb, act
from coordinator.engine.operators.attention import Attention
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import NOTHING_NEW, SettleOnly
from coordinator.engine.reconciliation.ground import Ground
from coordinator.engine.reconciliation.run import Reconciliation
from coordinator.engine.submit import Conflict
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import wait
from coordinator.ports.store import Transaction
from coordinator_core.errors import Fault

FIRST_SECONDS: Final = 0.5
"""Between two tries to compare, at first. Who waits for the chain loop is woken by it."""
LONGEST_SECONDS: Final = 4.0
AGAIN_SECONDS: Final = 3_600
"""Between two looks at what left and entered the node without us."""

log = structlog.get_logger()


class MoneyOffice:
    """What the house says of money: see the rooms of this folder."""

    def __init__(
        self, services: Services, house: House, freezer: Freezer, settle_only: SettleOnly, vitals: Vitals
    ) -> None:
        self._services = services
        self._house = house
        self._vitals = vitals
        self._freezer = freezer
        self.settle_only = settle_only
        ground = Ground(services, house.wakeups, freezer.alarm, partial(vitals.beat, Child.MONEY))
        self.reconciliation = Reconciliation(ground, partial(services.store.acted_on, Verb.EXPLAIN))
        self.handshake = Handshake(services, freezer)
        self.audit = Audit(services, house.wakeups, freezer, partial(vitals.beat, Child.MONEY))
        self.gate = MoneyGate(self.reconciliation, lambda: settle_only.is_on)

    async def run(self) -> None:
        """Compare until everything was compared; then keep looking, for ever."""
        pause, clock = FIRST_SECONDS, self._services.clock
        while True:
            self._vitals.beat(Child.MONEY)
            before = self.reconciliation.progress().done
            if not self.reconciliation.is_complete:
                await self.reconciliation.advance()
            elif clock.wall() - (self.reconciliation.finished_at or 0) >= AGAIN_SECONDS:
                await self.reconciliation.again()
            if self.reconciliation.is_complete:
                await self.audit.look()
                # Not before: one that hangs keeps tickets waiting, not the comparison that every prize waits for.
                await self.handshake.read(await self._services.store.acted_on(Verb.ACCEPT_KEY))
            settled = self.reconciliation.is_complete and self.handshake.is_known
            if self.reconciliation.progress().done != before:
                pause = FIRST_SECONDS
            await (asyncio.sleep(EVERY_SECONDS) if settled else wait(self._house.wakeups.in_step, pause))
            pause = min(LONGEST_SECONDS, pause * 2)

    def needs(self) -> tuple[Attention, ...]:
        """What of it needs a person. Asks nobody outside."""
        now = self._services.clock.wall()
        return (
            *of_reconciliation(self.reconciliation, now),
            *of_alarms(self.reconciliation, self._freezer.frozen, now),
            *of_audit(self.audit, now),
            *of_handshake(self.handshake, now),
        )

    def pauses(self) -> tuple[Pause, ...]:
        """What of the house keeps new money out of every competition."""
        found: list[Pause] = []
        if (since := self.settle_only.since) is not None:
            found.append(Pause(OPERATOR, f"{NOTHING_NEW}: {since.reason}", since.since))
        if (waits := self.reconciliation.waits) is not None:
            found.append(Pause(COORDINATOR, f"is not ready: {waits}", self.reconciliation.began))
        return tuple(found)

    async def explain(self, by: By, payment_hash: str) -> bytes:
        """An operator says what a payment was for: it holds no prize any more. {"explained": hash}.

        Raises Conflict for one that every payout row explains, or that the node did not make.
        """

        async def effect(_: Transaction) -> object:
            known = {payment.payment_hash for payment in self.reconciliation.unexplained.payments}
            if payment_hash not in known:
                reason = "is no payment of the node that nothing here explains"
                raise Conflict("payment_hash", reason, "coordinator admin attention", fault=Fault.COORDINATOR)
            return {"explained": payment_hash}

        answer = await act(self._house, by, Verb.EXPLAIN, effect, subject=payment_hash)
        self.reconciliation.unexplained.explain(payment_hash)
        return answer

    async def accept_key(self, by: By, whose: str, key: str) -> bytes:
        """An operator takes the key (33 bytes, hex) that a service has now for its own. {"accepted": key}.

        Raises Conflict where no key changed, or where it is not the one that the operator saw.
        """

        async def effect(_: Transaction) -> object:
            now = self.handshake.changed.get(whose)
            if now is None:
                known = ", ".join(sorted(self.handshake.changed)) or "none"
                raise Conflict(
                    "whose", "has the key that it had at first", f"changed: {known}", fault=Fault.COORDINATOR
                )
            if now != key:
                reason = f"is {key}, but the key of {whose} is {now} now"
                raise Conflict("key", reason, "find out why it changed again", fault=Fault.COORDINATOR)
            return {"accepted": key}

        answer = await act(self._house, by, Verb.ACCEPT_KEY, effect, subject=pin_name(whose, key))
        if self.handshake.changed.get(whose) == key:
            del self.handshake.changed[whose]
        return answer
