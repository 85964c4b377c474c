"""Who did not come to a closing, and until when that keeps a player out of new ones (money section 5).

A bar is for who sealed in no attempt of a closing that reached keygen. A sealing window that keymeld or an operator cut
short bars nobody, and so does time in which a service was down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coordinator.domain.competitions import cancelling, closing
from coordinator.domain.facts import Attended, Missed, Seal, SessionOpen, Ticket
from coordinator.domain.lane import Lane
from coordinator_core.competition.closing import BARRED_SECONDS
from coordinator_core.units import UnixTime


def unrecorded(lane: Lane) -> tuple[Missed, ...]:
    """Players that missed this closing, as far as it is not written down yet."""
    return tuple(missed for missed in _missed(lane) if lane.facts.get(Missed, missed.key) is None)


def look_again(lane: Lane) -> UnixTime | None:
    """When the next window ends in which somebody may have been absent, whatever became of the closing meanwhile."""
    return min((over for _, over in _windows(lane) if over > lane.world.wall), default=None)


def _windows(lane: Lane) -> Iterator[tuple[SessionOpen, UnixTime]]:
    """Sealing windows that count, with their ends."""
    if lane.published is None or cancelling.owners_agreed(lane):
        return
    for session in lane.facts.all(SessionOpen):
        over = closing.sealing_deadline(lane, session.attempt)
        if over is not None and closing.keymeld_fault(lane, session.attempt) is None:
            yield session, over


def _missed(lane: Lane) -> Iterator[Missed]:
    sealed = _players_who_sealed(lane)
    known: set[str] = set()
    for session, over in _windows(lane):
        if lane.world.wall < over:
            continue
        for entry_id in sorted(closing.absent_at_sealing(lane, session.attempt, session.roster)):
            player = _player(lane, entry_id)
            if player is not None and player not in sealed | known:
                known.add(player)
                yield Missed(player=player, attempt=session.attempt, at=over)


def _players_who_sealed(lane: Lane) -> frozenset[str]:
    """By key: one entry sealed in one attempt is enough. A key that keymeld refused is none."""
    present: set[str | None] = set()
    for attempt in {seal.attempt for seal in lane.facts.all(Seal)}:
        handed_in = tuple(seal.entry_id for seal in lane.facts.of_attempt(Seal, attempt))
        present |= {_player(lane, e) for e in set(handed_in) - closing.absent_at_sealing(lane, attempt, handed_in)}
    return frozenset(player for player in present if player is not None)


def _player(lane: Lane, entry_id: str) -> str | None:
    ticket = lane.facts.get(Ticket, entry_id)
    return None if ticket is None else ticket.player


def barred_until(missed: Iterable[Missed], attended: Iterable[Attended], now: UnixTime) -> UnixTime | None:
    """When the bar of one player ends, from its facts of all competitions; None when nothing keeps it out.

    A key sealed in a later closing lifts the bar.
    """
    last = max((fact.at for fact in missed), default=None)
    if last is None or last + BARRED_SECONDS <= now:
        return None
    if any(fact.at >= last for fact in attended):
        return None
    return UnixTime(last + BARRED_SECONDS)
