"""The house's money over the real store, a chain of data and a Lightning node of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.operators.acting import By
from coordinator.engine.operators.acting import House as Place
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import SettleOnly
from coordinator.engine.vitals import Vitals
from coordinator.ports.lightning import OutgoingPayment, PaymentState
from coordinator_core.units import Millisats, UnixTime
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
