"""Every rule a set of entries has to keep, with the text of each refusal. All entries come at once, once."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.embedded.oracle.errors import OracleError, Rejected
from coordinator.embedded.oracle.event_rules import is_uuid7
from coordinator.embedded.oracle.records import Entry, Event
from coordinator.embedded.oracle.requests import AddEventEntry
from coordinator.embedded.oracle.scoring import Pick

ALREADY_SUBMITTED = "entries were already submitted for this event"


def check_entries(event: Event, submitted: int, entries: Sequence[AddEventEntry], now: int) -> tuple[Entry, ...]:
    """The entries as they are stored; `submitted` is how many there are already. Raises OracleError."""
    if now >= event.end:
        raise Rejected("entries are only accepted before the observation window ends")
    if submitted:
        raise OracleError(409, ALREADY_SUBMITTED)
    if len(entries) != event.allowed_entries:
        raise Rejected(f"the event needs exactly {event.allowed_entries} entries, received {len(entries)}")
    seen: set[int] = set()
    checked: list[Entry] = []
    for entry in entries:
        if not is_uuid7(entry.id.int):
            raise Rejected(f"entry id {entry.id} is not a UUIDv7")
        if entry.event_id != event.id:
            raise Rejected(f"entry {entry.id} belongs to event {entry.event_id}, not {event.id}")
        if entry.id.int in seen:
            raise Rejected(f"entry id {entry.id} appears more than once")
        seen.add(entry.id.int)
        checked.append(Entry(entry.id, event.id, _check_picks(event, entry)))
    return tuple(checked)


def _check_picks(event: Event, entry: AddEventEntry) -> tuple[Pick, ...]:
    if entry.picks and entry.expected_observations:
        raise Rejected(f"entry {entry.id} must use exactly one of `picks` or `expected_observations`")
    picks = entry.picks or [pick for choice in entry.expected_observations for pick in choice.picks]
    seen: set[tuple[str, str]] = set()
    for pick in picks:
        if pick.target not in event.locations:
            raise Rejected(f'entry {entry.id} picks location "{pick.target}", which is not in the event')
        if pick.metric not in event.metrics:
            raise Rejected(f"entry {entry.id} picks {pick.metric}, which the event does not score")
        if (pick.target, pick.metric) in seen:
            raise Rejected(f'entry {entry.id} picks {pick.metric} at "{pick.target}" twice')
        seen.add((pick.target, pick.metric))
    if not 1 <= len(picks) <= event.values_per_entry:
        raise Rejected(f"entry {entry.id} must make between 1 and {event.values_per_entry} picks")
    return tuple(picks)
