"""Who played, in every state: also in those whose struct no longer carries a roster."""

from __future__ import annotations

from coordinator.domain.competitions.states import Cancelled, Competition, Completed, Failed, Returning
from coordinator.domain.facts import Invoice, Pinned, SessionOpen
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated


def attempt_of(state: Competition, lane: Lane) -> int | None:
    """The running attempt, or that of the contract of a completed competition; None outside of both."""
    if isinstance(state, Completed):
        return next((p.attempt for p in lane.facts.all(Pinned) if p.funding_txid == state.funding_txid), None)
    return getattr(state, "attempt", None)


def roster_of(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Entry ids in ascending order: the frozen roster, before it who holds a seat, without a contract who ever did."""
    frozen: tuple[str, ...] | None = getattr(state, "roster", None)
    if frozen is not None:
        return frozen
    if lane.published is None:
        return ()
    if isinstance(state, Completed):
        opened = lane.facts.get(SessionOpen, attempt_of(state, lane) or 0)
        return opened.roster if opened is not None else ()
    if isinstance(state, Returning | Cancelled | Failed):
        return tuple(sorted({i.entry_id for i in lane.facts.all(Invoice) if i.accepted_at is not None}))
    return seated(lane)


def pinned_of(state: Competition, lane: Lane) -> Pinned | None:
    """The contract that counts: of the running attempt or of the completed competition, never of an abandoned one."""
    attempt = attempt_of(state, lane)
    return None if attempt is None else lane.facts.get(Pinned, attempt)
