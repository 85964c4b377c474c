"""The oracle itself: creates events, takes entries, settles; HTTP only translates."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from coordinator.embedded.oracle.clock import Clock
from coordinator.embedded.oracle.entry_rules import ALREADY_SUBMITTED, check_entries
from coordinator.embedded.oracle.errors import INTERNAL, NotFound, OracleError, Rejected
from coordinator.embedded.oracle.event_rules import Checked, check_event, check_lines_source, check_planning
from coordinator.embedded.oracle.key import KeyMismatch, OracleKey
from coordinator.embedded.oracle.lines import Line, LinesMissing, current_lines
from coordinator.embedded.oracle.records import Event, Progress
from coordinator.embedded.oracle.requests import AddEventEntries, CreateEvent
from coordinator.embedded.oracle.settlement import Ranking, Settlement, rank_by_score
from coordinator.embedded.oracle.statement import sign_event
from coordinator.embedded.oracle.store import DuplicateEvent, Store
from coordinator.embedded.oracle.views import Json, entry_view, event_view, summary_view
from coordinator.embedded.oracle.weather import Weather

MAX_LIST = 100
_PUBLIC_KEY = "public_key"


class Oracle:
    """One oracle over its store. Raises OracleError for what a client did wrong."""

    def __init__(
        self, store: Store, key: OracleKey, weather: Weather, clock: Clock, ranking: Ranking = rank_by_score
    ) -> None:
        stored = store.setting(_PUBLIC_KEY)
        if stored is None:
            store.set_setting(_PUBLIC_KEY, key.public_key)
        elif stored != key.public_key:
            raise KeyMismatch(
                f"the database was made with key {stored.hex()}, the key file holds {key.public_key.hex()}"
            )
        self.store = store
        self.key = key
        self.weather = weather
        self.clock = clock
        self._settlement = Settlement(store, weather, key, ranking)

    async def create_event(self, coordinator: bytes, request: CreateEvent) -> Json:
        """Check, announce and store an event."""
        now = self.clock.now()
        checked = check_event(request)
        lines = self._lines(coordinator, checked, request.lines_from_event, now) if checked.lines else []
        check_planning(checked, self.weather, now)
        nonce = self.key.new_nonce(request.id.bytes)
        event = Event(
            id=request.id,
            signing_date=checked.signing_date,
            start=checked.window.start,
            end=checked.window.end,
            locations=checked.locations,
            metrics=checked.metrics,
            values_per_entry=request.number_of_values_per_entry,
            allowed_entries=request.total_allowed_entries,
            places=request.number_of_places_win,
            coordinator=coordinator,
            unlisted=request.unlisted,
            scoring_rules="lines" if checked.lines else "fixed",
            lines=tuple(lines),
            nonce=nonce,
        )
        points = await asyncio.to_thread(self.key.locking_points, nonce.point, event.allowed_entries, event.places)
        try:
            self.store.add_event(event, points)
        except DuplicateEvent as error:
            raise OracleError(500, INTERNAL) from error
        return self.event(event.id)

    def add_entries(self, coordinator: bytes, event_id: UUID, request: AddEventEntries) -> list[Json]:
        """Check and store all entries of an event at once."""
        if request.event_id != event_id:
            raise Rejected(f"entries are for event {request.event_id} but were posted to event {event_id}")
        event, progress = self._find(event_id)
        if event.coordinator != coordinator:
            raise OracleError(403, f"event {event_id} belongs to another coordinator")
        entries = check_entries(event, progress.total_entries, request.entries, self.clock.now())
        if not self.store.add_entries(event_id, entries):
            raise OracleError(409, ALREADY_SUBMITTED)
        return [entry_view(entry) for entry in entries]

    def event(self, event_id: UUID) -> Json:
        """An event with everything public about it; the statement once all entries are in."""
        event, progress = self._find(event_id)
        entries = self.store.entries(event_id)
        complete = len(entries) == event.allowed_entries
        statement = sign_event(event, [entry.id for entry in entries], self.key) if complete else None
        return event_view(event, progress, entries, self.store.points(event_id), statement, self.clock.now())

    def events(self, ids: Sequence[UUID], limit: int) -> list[Json]:
        """Summaries, newest first."""
        now = self.clock.now()
        return [summary_view(event, progress, now) for event, progress in self.store.events(ids, limit)]

    def entry(self, event_id: UUID, entry_id: UUID) -> Json:
        """One entry."""
        found = next((entry for entry in self.store.entries(event_id) if entry.id == entry_id), None)
        if found is None:
            raise NotFound(f"entry {entry_id} not found for event {event_id}")
        return entry_view(found)

    def settle(self, *, impatient: bool = False) -> int:
        """Refresh and attest what is due; returns how many events were attested."""
        return self._settlement.run(self.clock.now(), impatient=impatient)

    def _lines(self, coordinator: bytes, checked: Checked, source: UUID | None, now: int) -> list[Line]:
        if source is not None:
            earlier = self.store.event(source)
            return check_lines_source(checked, earlier and earlier[0], coordinator, source)
        try:
            return current_lines(self.weather, checked.locations, checked.metrics, now)
        except LinesMissing as error:
            raise Rejected(f"no line has been fitted yet for {error}; use fixed scoring rules or try later") from error

    def _find(self, event_id: UUID) -> tuple[Event, Progress]:
        found = self.store.event(event_id)
        if found is None:
            raise NotFound(f"event {event_id} not found")
        return found
