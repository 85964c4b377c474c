"""Every rule a new event has to keep, with the text of each refusal."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from coordinator.embedded.oracle.dates import DAY, to_unix
from coordinator.embedded.oracle.errors import Rejected
from coordinator.embedded.oracle.lines import Line, LinesMissing, copied_lines
from coordinator.embedded.oracle.metrics import (
    DEFAULT_METRICS,
    METRICS,
    SOURCE,
    is_valid_target,
    window_problem,
)
from coordinator.embedded.oracle.outcomes import MAX_ENTRIES, MAX_OUTCOMES, MAX_PLACES, outcome_count
from coordinator.embedded.oracle.records import Event
from coordinator.embedded.oracle.requests import CreateEvent
from coordinator.embedded.oracle.weather import Weather, Window

MAX_LOCATIONS = 50


class Checked(Struct, frozen=True):
    """What the rules made of a request: names resolved, dates in UNIX seconds."""

    signing_date: int
    window: Window
    locations: tuple[str, ...]
    metrics: tuple[str, ...]
    lines: bool


def is_uuid7(value: int) -> bool:
    """True when the version digit of a 128-bit id is 7."""
    return value >> 76 & 0xF == 7


def check_event(request: CreateEvent) -> Checked:
    """Apply the rules that need nothing but the request. Raises Rejected."""
    if not is_uuid7(request.id.int):
        raise Rejected(f"event id {request.id} is not a UUIDv7")
    if request.source not in (None, SOURCE):
        raise Rejected(f'unknown source "{request.source}"; see GET /oracle/sources')
    _check_dates(request)
    _check_counts(request)
    locations = _check_locations(request.watched)
    metrics = _check_metrics(request.scored)
    problem = window_problem(request.start_observation_date, request.end_observation_date, metrics)
    if problem is not None:
        raise Rejected(problem)
    lines = _check_scoring_rules(request, metrics)
    most = len(locations) * len(metrics)
    if not 1 <= request.number_of_values_per_entry <= most:
        raise Rejected(
            f"number_of_values_per_entry must be between 1 and {most}, requested {request.number_of_values_per_entry}"
        )
    signing = to_unix(request.signing_date)
    if not 0 <= signing + DAY < 1 << 32:
        raise Rejected("signing date is outside the DLC expiry range")
    window = Window(to_unix(request.start_observation_date), to_unix(request.end_observation_date))
    return Checked(signing, window, locations, metrics, lines)


def check_lines_source(checked: Checked, event: Event | None, coordinator: bytes, name: UUID) -> list[Line]:
    """The lines copied from the earlier event `name`, for the coordinator that asks. Raises Rejected."""
    if event is None:
        raise Rejected(f"lines_from_event {name} is not an event on this oracle")
    if event.coordinator != coordinator:
        raise Rejected(f"lines_from_event {name} was created by another coordinator")
    if event.scoring_rules != "lines":
        raise Rejected(f"lines_from_event {name} does not use lines scoring rules")
    if event.source != SOURCE:
        raise Rejected(f'lines_from_event {name} uses source "{event.source}", not "{SOURCE}"')
    try:
        return copied_lines(event.lines, checked.locations, checked.metrics)
    except LinesMissing as error:
        raise Rejected(
            f"lines_from_event {name} has no line fitted on this event's window length for {error}"
        ) from error


def check_planning(checked: Checked, weather: Weather, now: int) -> None:
    """Every pair needs a forecast over the window now. Raises Rejected naming the pairs and reasons."""
    reasons = [
        f"{target}/{metric}: {reason}"
        for target in checked.locations
        for metric in checked.metrics
        if (reason := weather.assess(target, metric, checked.window, now).reason) is not None
    ]
    if reasons:
        raise Rejected(f"baseline unavailable for this window: {'; '.join(reasons)}")


def _check_dates(request: CreateEvent) -> None:
    if not request.start_observation_date < request.end_observation_date <= request.signing_date:
        raise Rejected("observation start must be before its end, and the end no later than the signing date")


def _check_counts(request: CreateEvent) -> None:
    entries, places = request.total_allowed_entries, request.number_of_places_win
    if not 2 <= entries <= MAX_ENTRIES:
        raise Rejected(f"total_allowed_entries must be between 2 and {MAX_ENTRIES}, requested {entries}")
    if not 1 <= places <= MAX_PLACES or places >= entries:
        raise Rejected(
            f"number_of_places_win must be between 1 and {MAX_PLACES} and fewer than the entries, requested {places}"
        )
    if outcome_count(entries, places) > MAX_OUTCOMES:
        raise Rejected(f"{entries} entries with {places} places produce too many outcomes (max {MAX_OUTCOMES})")


def _check_locations(locations: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(locations) <= MAX_LOCATIONS or len(set(locations)) != len(locations):
        raise Rejected(f"an event needs between 1 and {MAX_LOCATIONS} distinct locations")
    for location in locations:
        if not is_valid_target(location):
            raise Rejected(f'invalid target "{location}": a station id is 1 to 16 letters, digits, "-" or "_"')
    return tuple(locations)


def _check_metrics(scored: Sequence[str] | None) -> tuple[str, ...]:
    metrics = tuple(DEFAULT_METRICS if scored is None else scored)
    if not metrics or len(set(metrics)) != len(metrics) or any(metric not in METRICS for metric in metrics):
        raise Rejected("scoring fields must be distinct metrics of the source, at least one")
    return metrics


def _check_scoring_rules(request: CreateEvent, metrics: Sequence[str]) -> bool:
    lines = request.scoring_rules == "lines"
    for metric in metrics if lines else ():
        if not METRICS[metric].calibrated:
            raise Rejected(f"{metric} cannot be scored against lines; use fixed scoring rules")
    if request.lines_from_event is not None and not lines:
        raise Rejected("lines_from_event needs lines scoring rules")
    return lines
