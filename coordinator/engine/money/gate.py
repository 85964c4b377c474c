"""What keeps money from moving in the whole house: asked before every duty that moves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coordinator.domain.duties import CreateInvoice, Duty, PayPrize, PinContract
from coordinator.domain.facts import Payout
from coordinator.domain.lane import Lane
from coordinator.domain.protection import is_expansive_funding
from coordinator.engine.reconciliation.run import Reconciliation


@dataclass(frozen=True, slots=True)
class MoneyGate:
    """Expansive steps wait for the comparison with the outside; a prize, for who explains a payment that may have paid
    it; new fundings, for the end of `settle-only`. What protects somebody is never asked about here.
    """

    reconciliation: Reconciliation
    settle_only: Callable[[], bool]

    def held(self, duty: Duty, lane: Lane) -> str | None:
        """Why a duty must move no money now; None when nothing of the house speaks against it. A payment that is held
        still asks what became of it.
        """
        funding = is_expansive_funding(duty, lane)
        moves = funding or isinstance(duty, CreateInvoice | PayPrize)
        if moves and (waits := self.reconciliation.waits) is not None:
            return waits
        if (funding or isinstance(duty, CreateInvoice | PinContract)) and self.settle_only():
            return "nothing new is taken on: what is owed is settled, nothing else"
        return self._explained_first(duty, lane) if isinstance(duty, PayPrize) else None

    def _explained_first(self, duty: PayPrize, lane: Lane) -> str | None:
        payout = lane.facts.get(Payout, duty.entry_id)
        payment = None if payout is None else self.reconciliation.unexplained.holds(lane, payout)
        if payment is None:
            return None
        return f"payment {payment.payment_hash}, which nothing here explains, may have paid this prize already"
