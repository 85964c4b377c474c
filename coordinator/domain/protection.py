"""What a stopped competition still does: a contradiction in it must not cost those who play in it."""

from __future__ import annotations

from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    FundingBroadcasted,
    FundingConfirmed,
    OutcomeBroadcasted,
)
from coordinator.domain.duties import Broadcast, Duty
from coordinator.domain.facts import Built
from coordinator.domain.lane import Lane

IRREVOCABLE = (
    FundingBroadcasted,
    FundingConfirmed,
    AwaitingAttestation,
    OutcomeBroadcasted,
    ExpiryBroadcasted,
    DeltaBroadcasted,
)
FUNDING = "funding"


def protects(duty: Duty, lane: Lane) -> bool:
    """Whether a duty goes on while its competition is stopped.

    The funding is expansive until it was built: from then on somebody may have it, and only the contract that it pays
    for gives the money back.
    """
    return duty.protective and not is_expansive_funding(duty, lane)


def is_expansive_funding(duty: Duty, lane: Lane) -> bool:
    """True for a funding that nobody can have yet."""
    if not isinstance(duty, Broadcast) or duty.role != FUNDING:
        return False
    return lane.facts.get(Built, f"{FUNDING}/{duty.attempt}") is None


def moves_while_stopped(state: Competition) -> bool:
    """From the funding on the presigned tree leads to the end whatever else is wrong: each step protects somebody, so a
    stopped competition takes it, if its facts let it. Before that nothing is lost by standing still: holds run out.
    """
    return isinstance(state, IRREVOCABLE)
