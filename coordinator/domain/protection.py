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
from coordinator.domain.duties import Broadcast, Bump, Duty
from coordinator.domain.facts import HoldState, Invoice, Sent
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

    The funding is expansive until it is known to have left: from then on only the contract that it pays for gives the
    money back. What becomes of the tickets of one that may have left, see `unconfirmed`.
    """
    return duty.protective and not is_expansive_funding(duty, lane)


def has_left(lane: Lane) -> bool:
    """Whether the funding is known to have left: the node held it, or tickets were settled over it."""
    if lane.facts.get(Sent, FUNDING) is not None:
        return True
    return any(invoice.state is HoldState.SETTLED for invoice in lane.facts.all(Invoice))


def is_expansive_funding(duty: Duty, lane: Lane) -> bool:
    """True for what would hand a funding out for the first time: its broadcast, or the bump that takes it along."""
    wanted = duty.broadcast if isinstance(duty, Bump) else duty
    return isinstance(wanted, Broadcast) and wanted.role == FUNDING and not has_left(lane)


def moves_while_stopped(state: Competition) -> bool:
    """From the funding on the presigned tree leads to the end whatever else is wrong: each step protects somebody, so a
    stopped competition takes it, if its facts let it. Before that nothing is lost by standing still: holds run out.
    """
    return isinstance(state, IRREVOCABLE)
