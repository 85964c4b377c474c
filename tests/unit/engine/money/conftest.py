"""The house's money over the real store, a chain of data and a Lightning node of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from coordinator.domain.duties import Duty
from coordinator.domain.facts import Fact
from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.operators.acting import By
from coordinator.engine.operators.acting import House as Place
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import SettleOnly
from coordinator.engine.vitals import Vitals
from coordinator.ports.lightning import InvoiceState, OutgoingPayment, PaymentState
from coordinator_core.units import Blocks, Millisats, Sats, Seconds, UnixTime
from tests.support import lanes as b
from tests.support.ports import LedgerLightning


@dataclass
class Office:
    """What decides about money, and what it asks."""

    bench: Any
    office: MoneyOffice
    freezer: Freezer
    place: Place

    @property
    def lightning(self) -> LedgerLightning:
        return self.bench.services.lightning

    @property
    def chain(self) -> Any:
        return self.bench.services.chain

    @property
    def reconciliation(self) -> Any:
        return self.office.reconciliation

    def left(self, payment_hash: str, sats: int, at: int = b.WALL + 60, state: str = "succeeded") -> OutgoingPayment:
        """A payment of the node, whoever ordered it."""
        made = OutgoingPayment(payment_hash, PaymentState(state), Millisats(sats * 1_000), UnixTime(at))
        self.lightning.outgoing.insert(0, made)
        return made

    async def made(self, entry_id: str, state: InvoiceState = InvoiceState.OPEN) -> None:
        """The node has the invoice of a ticket in this state."""
        name = b.ticket_hash(entry_id)
        await self.lightning.add_hold_invoice(
            name, Sats(52_400), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
        )
        self.lightning._put(name, state, b.DEADLINE if state is InvoiceState.ACCEPTED else None)

    def gate(self, duty: Duty, *facts: Fact) -> str | None:
        """Why a duty must wait, in a competition of these facts; None when it need not."""
        return self.office.gate.held(duty, b.Story().put(*facts).lane)

    def by(self, key: str = "1", reason: str = "because") -> By:
        return By("operator", reason, key)

    def again(self) -> Office:
        """The same coordinator after a restart."""
        return opened(self.bench)


def opened(bench: Any, *, configured: bool = False) -> Office:
    house = bench.house
    place = Place(house.store, house.clockwork, house.wakeups)
    freezer = Freezer(place)
    settle_only = SettleOnly(place, configured=configured)
    return Office(bench, MoneyOffice(bench.services, place, freezer, settle_only, Vitals()), freezer, place)


@pytest.fixture
def desk(bench: Any) -> Office:
    return opened(bench)


@pytest.fixture
def configured(bench: Any) -> Office:
    return opened(bench, configured=True)
