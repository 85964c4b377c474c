"""What players are told, and when: the appointment, their part of the closing, the kit, the prize. Nothing depends on
it: the page and the client know the same.

Most is told once. In the windows of the closing, where a player that does nothing is dropped, it is told again: from
`missing`, so nobody is asked before its turn or after its part is done, or for what is a service's or ours to do. The
first message leaves ten seconds after the window opened: a client that runs needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from coordinator.domain import duties as d
from coordinator.domain.competitions import settling
from coordinator.domain.competitions.awaited import Awaited, Phase
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    CollectingEntries,
    Competition,
    ExpiryBroadcasted,
    FundingBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import Notified, PrizeState
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated
from coordinator_core.units import UnixTime

FIRST_SECONDS: Final = 10
"""Before the first message, and between any two."""
GROWTH: Final = 1.5
LONGEST_SECONDS: Final = 300
JITTER: Final = 0.2
REPEATED: Final = frozenset({Phase.SEAL, Phase.COMPARE, Phase.APPROVE})


def notices(state: Competition, lane: Lane) -> Iterator[d.NotifyPlayer]:
    """Messages that are due now, one duty for each topic and player."""
    topic, players = _once(state, lane)
    for entry_id in players:
        if lane.facts.get(Notified, f"{topic}/{entry_id}") is None:
            yield d.NotifyPlayer(entry_id=entry_id, topic=topic)
    for duty, due in _reminders(state, lane):
        if due <= lane.world.wall:
            yield duty


def next_reminder(state: Competition, lane: Lane) -> UnixTime | None:
    """When the next message becomes due by the wall clock; None when none will."""
    return min((due for _, due in _reminders(state, lane) if due > lane.world.wall), default=None)


def _once(state: Competition, lane: Lane) -> tuple[str, tuple[str, ...]]:
    match state:
        case CollectingEntries():
            return "appointment", seated(lane)
        case FundingBroadcasted():
            return "kit", state.roster
        case OutcomeBroadcasted() | ExpiryBroadcasted():
            return "prize", _winners(state, lane)
        case _:
            return "", ()


def _winners(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> tuple[str, ...]:
    claimable = [p.share.entry_id for p in settling.prizes(lane, state) if p.state is PrizeState.CLAIMABLE]
    return tuple(sorted(claimable))


def _reminders(state: Competition, lane: Lane) -> Iterator[tuple[d.NotifyPlayer, UnixTime]]:
    """The next message of everyone who is awaited in a window that is still open, with when it is due."""
    if not isinstance(state, AwaitingKeygen | AwaitingSigning):
        return
    for one in missing(state, lane):
        if one.phase in REPEATED and one.entry_id is not None and one.until is not None:
            due = _due(lane, one, f"{one.phase}/{state.attempt}", one.entry_id)
            if one.until.is_ahead(lane.world) and due < one.until.at:
                yield d.NotifyPlayer(entry_id=one.entry_id, topic=f"{one.phase}/{state.attempt}"), due


def _due(lane: Lane, one: Awaited, topic: str, entry_id: str) -> UnixTime:
    """Ten seconds after the window opened, then half as long again each time. A window that opens anew counts anew."""
    told, since = lane.facts.get(Notified, f"{topic}/{entry_id}"), one.since or UnixTime(0)
    if told is None or told.at < since:
        return UnixTime(since + _pause(f"{lane.id}/{topic}/{entry_id}/0", FIRST_SECONDS))
    exact = FIRST_SECONDS * GROWTH ** min(told.times, 20)
    return UnixTime(told.at + _pause(f"{lane.id}/{topic}/{entry_id}/{told.times}", exact))


def _pause(name: str, seconds: float) -> int:
    """A fifth more or less by its name: players are not all told in the same second, and a repeat finds the same."""
    share = int.from_bytes(sha256(name.encode()).digest()[:4], "big") / 2**32
    return round(max(FIRST_SECONDS, min(LONGEST_SECONDS, seconds * (1 + JITTER * (2 * share - 1)))))
