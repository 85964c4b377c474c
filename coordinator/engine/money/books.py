"""Books of the whole house: where every satoshi of every competition stands (money section 8).

Derived from facts and from what the services say, at each look; nothing here is ever edited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from coordinator.domain.competitions import debts, settling
from coordinator.domain.competitions.paid_out import roster_of, settled_state
from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    Competition,
    Completed,
    FundingBroadcasted,
    FundingConfirmed,
    Returning,
)
from coordinator.domain.facts import HoldState, Invoice, Payout, PrizeState
from coordinator.domain.lane import Lane
from coordinator.engine.money.imbalances import with_contract, without_contract
from coordinator_core.units import Sats

FUNDED = FundingConfirmed | AwaitingAttestation | settling.Settled | Completed
"""States after the funding: the contract holds the pool, or it was paid out."""


@dataclass(frozen=True, slots=True)
class LaneBooks:
    """One competition, in satoshi."""

    held: int = 0
    in_contract: int = 0
    owed: int = 0
    paid: int = 0
    swept: int = 0
    left: int = 0
    """Shares that stay on chain because taking them would cost more than they hold: nobody's."""
    unpaid: int = 0
    """Prizes, or the pool before there are any, that nobody has got yet: a liability."""
    settled_early: int = 0
    """Tickets that were settled although no funding is confirmed: a liability."""
    faults: tuple[str, ...] = ()
    """What does not add up, in words."""

    @property
    def liabilities(self) -> int:
        """What the house owes because of this competition; held tickets stand on both sides."""
        return self.unpaid + self.settled_early + self.owed


def books_of(state: Competition, lane: Lane) -> LaneBooks:
    """The books of a competition as it is now."""
    if lane.published is None:
        return LaneBooks()
    invoices = lane.facts.all(Invoice)
    held = sum(i.value for i in invoices if i.state is HoldState.ACCEPTED)
    owed = debts.total(lane)
    paid = sum(p.amount for p in lane.facts.all(Payout) if p.state is PrizeState.PAID)
    if isinstance(state, FUNDED):
        return _funded(state, lane, held=held, owed=owed, paid=paid)
    settled = sum(i.value for i in invoices if i.state is HoldState.SETTLED)
    early = max(0, settled - owed) if isinstance(state, FundingBroadcasted | Returning) else 0
    return LaneBooks(held=held, owed=owed, paid=paid, settled_early=early, faults=tuple(without_contract(state, lane)))


def _funded(state: Competition, lane: Lane, *, held: int, owed: int, paid: int) -> LaneBooks:
    roster, faults = roster_of(state, lane), tuple(with_contract(state, lane))
    pool = len(roster) * lane.terms.money.entry_fee
    if isinstance(state, FundingConfirmed | AwaitingAttestation):
        return LaneBooks(held=held, in_contract=pool, owed=owed, paid=paid, unpaid=pool, faults=faults)
    settled = settled_state(state, lane)
    if settled is None:
        return LaneBooks(held=held, owed=owed, paid=paid, faults=faults)
    standing = swept = left = unpaid = lost = 0
    for prize in settling.prizes(lane, settled):
        gross = prize.share.gross
        ours = _taken(lane, settled, prize)
        is_left = prize.state is PrizeState.UNECONOMIC
        standing += gross if ours is None and not is_left and not isinstance(state, Completed) else 0
        swept += gross if ours else 0
        left += gross if is_left else 0
        unpaid += gross if prize.state not in settling.FINAL and not isinstance(state, Completed) else 0
        lost += prize.share.net if _is_owed(state, prize, ours=ours) else 0
    taken = LaneBooks(held=held, owed=owed + lost, paid=paid, swept=swept, left=left, faults=faults)
    return replace(taken, in_contract=standing, unpaid=unpaid)


def _taken(lane: Lane, state: settling.Settled, prize: settling.Prize) -> bool | None:
    """Whether we took the output of a prize; None while nobody has."""
    outcome = settling.outcome_txid(lane, state)
    closed = lane.world.spent.get(f"{outcome}:0")
    if closed is not None and closed.txid in settling.ours(lane, state, "close", "reclaim"):
        return True
    split = getattr(state, "split_txid", None)
    seen = lane.world.spent.get(f"{split}:{prize.share.vout}")
    roles = (f"sweep:{how}:{prize.share.entry_id}" for how in settling.SWEEPS)
    return None if seen is None else seen.txid in settling.ours(lane, state, *roles)


def _is_owed(state: Competition, prize: settling.Prize, *, ours: bool | None) -> bool:
    if isinstance(state, Completed) and ours and prize.state is not PrizeState.VOID:
        return prize.state is not PrizeState.PAID
    return prize.state is PrizeState.OWED


def gap(books: Iterable[LaneBooks], *, wallet: Sats, channels: Sats, in_transit: int) -> int:
    """By how much what the house owes exceeds what it has, in satoshi; 0 or less when it can pay everything."""
    return sum(one.liabilities - one.in_contract for one in books) - wallet - channels - in_transit
