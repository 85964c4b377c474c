"""What players are told, and when: the appointment, what is waited for, the kit, the prize. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.domain import duties as d
from coordinator.domain.competitions import closing, settling
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    CollectingEntries,
    Competition,
    ExpiryBroadcasted,
    FundingBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import PrizeState
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated


def notices(state: Competition, lane: Lane) -> Iterator[d.NotifyPlayer]:
    """One duty for each topic and player; a topic is told once."""
    topic, players = _topic(state, lane)
    for entry_id in players:
        yield d.NotifyPlayer(entry_id=entry_id, topic=topic)


def _topic(state: Competition, lane: Lane) -> tuple[str, tuple[str, ...]]:
    match state:
        case CollectingEntries():
            return "appointment", seated(lane)
        case AwaitingKeygen():
            return f"seal/{state.attempt}", _waiting(closing.absent_at_sealing(lane, state.attempt, state.roster))
        case AwaitingSigning():
            return f"approve/{state.attempt}", state.roster
        case FundingBroadcasted():
            return "kit", state.roster
        case OutcomeBroadcasted() | ExpiryBroadcasted():
            return "prize", _winners(state, lane)
        case _:
            return "", ()


def _waiting(absent: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(absent))


def _winners(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> tuple[str, ...]:
    claimable = [p.share.entry_id for p in settling.prizes(lane, state) if p.state is PrizeState.CLAIMABLE]
    return tuple(sorted(claimable))
