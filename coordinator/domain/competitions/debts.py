"""Tickets that were settled although no contract came about: each becomes a debt (money sections 3 and 7)."""

from __future__ import annotations

from coordinator.domain.facts import HoldState, Invoice, Owed, Payout, PrizeState
from coordinator.domain.lane import Lane
from coordinator_core.receipts.debt import DebtReason
from coordinator_core.units import Sats


def unrecorded(lane: Lane) -> tuple[Invoice, ...]:
    """Settled tickets of a competition without a contract whose debt is not written down yet."""
    recorded = {owed.payment_hash for owed in lane.facts.all(Owed) if owed.reason is DebtReason.TICKET}
    settled = (i for i in lane.facts.all(Invoice) if i.state is HoldState.SETTLED and still_due(lane, i) > 0)
    return tuple(invoice for invoice in settled if invoice.payment_hash not in recorded)


def still_due(lane: Lane, invoice: Invoice) -> Sats:
    """What is to be paid back of a settled ticket. A contract that a deep reorg took away may have paid a prize
    already: it counts towards the ticket, and nobody has to give back what is more.
    """
    payout = lane.facts.get(Payout, invoice.entry_id)
    paid = payout.amount if payout is not None and payout.state is PrizeState.PAID else 0
    return Sats(max(0, invoice.value - paid))


def undecided(lane: Lane) -> bool:
    """True while a prize may still arrive: until that is known its ticket is neither owed nor paid for."""
    return any(payout.state in (PrizeState.PAYING, PrizeState.UNKNOWN) for payout in lane.facts.all(Payout))


def of_entry(lane: Lane, entry_id: str) -> tuple[Owed, ...]:
    """What is owed to the owner of an entry, besides its prize."""
    return tuple(owed for owed in lane.facts.all(Owed) if owed.entry_id == entry_id)


def total(lane: Lane) -> Sats:
    """Sum of the recorded debts of a competition, besides prizes."""
    return Sats(sum(owed.amount for owed in lane.facts.all(Owed)))
