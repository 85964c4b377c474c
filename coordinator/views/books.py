"""Books of one competition: double entry derived from facts, never edited (money section 8).

Every row is (account, satoshi); money in is positive. The sum over all rows of a finished competition is zero: what
came in from tickets left as prizes, debts, fees to the chain, or is the coordinator's margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.domain.competitions import debts, settling
from coordinator.domain.competitions.states import Competition, Completed
from coordinator.domain.facts import Bumped, HoldState, Invoice, Payout, PrizeState
from coordinator.domain.lane import Lane


@dataclass(frozen=True, slots=True)
class Row:
    """One line: positive is what came in, negative what went out."""

    account: str
    amount: int


def lightning_rows(lane: Lane) -> Sequence[Row]:
    """Tickets settled, those that are to be paid back, prizes paid with their routing."""
    tickets = sum(i.value for i in lane.facts.all(Invoice) if i.state is HoldState.SETTLED)
    paid = [p for p in lane.facts.all(Payout) if p.state is PrizeState.PAID]
    return (
        Row("tickets settled", tickets),
        Row("tickets owed", -debts.total(lane)),
        Row("prizes paid", -sum(p.amount for p in paid)),
        Row("routing", -sum(p.routing_fee for p in paid)),
    )


def chain_rows(lane: Lane) -> Sequence[Row]:
    """What children and replacements that are in the chain paid to miners."""
    made = (bump for bump in lane.facts.all(Bumped) if bump.txid in lane.world.confirmed)
    return (Row("fee bumps", -sum(bump.fee for bump in made)),)


def outcome_of(state: Competition) -> int | None:
    """The attested outcome of a state; None for expiry or none."""
    if isinstance(state, Completed):
        return state.outcome
    if isinstance(state, settling.Settled):
        return settling.outcome_of(state)
    return None
