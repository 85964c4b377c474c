"""Cancel before the funding: by one operator while entries are open, by two owners until the funding leaves (money
section 5). After that the contract decides.
"""

from __future__ import annotations

from enum import Enum, auto

from coordinator.domain.competitions.states import (
    AwaitingEscrow,
    AwaitingKeygen,
    AwaitingSigning,
    CollectingEntries,
    Competition,
    Created,
    EntriesSubmitted,
    EscrowConfirmed,
    EventCreated,
    FundingReady,
)
from coordinator.domain.facts import CancelAsked
from coordinator.domain.lane import Lane

OWNERS_NEEDED = 2


class Judgement(Enum):
    """What one more word for it would do."""

    ENDS = auto()
    AWAITS_SECOND = auto()
    OWNERS_ONLY = auto()
    TOO_LATE = auto()


def is_open(state: Competition, lane: Lane) -> bool:
    """While nobody is bound by the closing."""
    if isinstance(state, CollectingEntries):
        return lane.world.now < lane.terms.schedule.entries_close
    return isinstance(state, Created)


def is_closing(state: Competition, lane: Lane) -> bool:
    """Between the closing time and the funding."""
    if isinstance(state, CollectingEntries):
        return not is_open(state, lane)
    return isinstance(
        state,
        AwaitingEscrow
        | EscrowConfirmed
        | EventCreated
        | AwaitingKeygen
        | EntriesSubmitted
        | AwaitingSigning
        | FundingReady,
    )


def owners_agreed(lane: Lane) -> bool:
    """Whether enough owners asked for the end of a closing."""
    return sum(word.is_owner for word in lane.facts.all(CancelAsked)) >= OWNERS_NEEDED


def decided(state: Competition, lane: Lane) -> str | None:
    """Why a competition ends at its operators' wish; None while it does not."""
    asked = lane.facts.all(CancelAsked)
    if asked and is_open(state, lane):
        return asked[0].reason
    if owners_agreed(lane) and is_closing(state, lane):
        return "; ".join(dict.fromkeys(word.reason for word in asked if word.is_owner))
    return None


def judge(state: Competition, lane: Lane, who: str, *, is_owner: bool) -> Judgement:
    """What it would do if `who` asked now."""
    if is_open(state, lane):
        return Judgement.ENDS
    if not is_closing(state, lane):
        return Judgement.TOO_LATE
    if not is_owner:
        return Judgement.OWNERS_ONLY
    others = {asked.by for asked in lane.facts.all(CancelAsked) if asked.is_owner} - {who}
    return Judgement.ENDS if len(others) + 1 >= OWNERS_NEEDED else Judgement.AWAITS_SECOND
