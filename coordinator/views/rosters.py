"""Who played, in every state: also in those whose struct no longer carries a roster."""

from __future__ import annotations

from coordinator.domain.competitions import paid_out
from coordinator.domain.competitions.states import Cancelled, Competition, Completed, Failed, Returning
from coordinator.domain.facts import Invoice
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated


def roster_of(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Entry ids in ascending order: the frozen roster, before it who holds a seat, without a contract who ever did."""
    frozen: tuple[str, ...] | None = getattr(state, "roster", None)
    if frozen is not None:
        return frozen
    if lane.published is None:
        return ()
    if isinstance(state, Completed):
        return paid_out.roster_of(state, lane)
    if isinstance(state, Returning | Cancelled | Failed):
        return tuple(sorted({i.entry_id for i in lane.facts.all(Invoice) if i.accepted_at is not None}))
    return seated(lane)
