"""What is observed and how it is scored: the part of the terms that an oracle event repeats."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from coordinator_core.competition.documents import DecimalText
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Seconds, UnixTime

NOAA_WEATHER: Final = "noaa_weather"
ATTEMPTS: Final = 8
"""Attempts at a contract. Each has an oracle event and an entry key of its own; event 0 only carries the
lines.
"""

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,32}\Z")]
Target = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,16}\Z")]
Date = Annotated[UnixTime, Meta(ge=500_000_000, lt=1 << 32)]


class Rule(StrEnum):
    """When an observation counts as equal to its baseline (oracle section 5.3)."""

    EXACT = "exact"
    ROUNDED = "rounded"
    WITHIN = "within"
    COMPASS = "compass"


class ScoringRules(StrEnum):
    """`fixed`: Par 20, Over and Under 10, against the baseline. `lines`: 10 for the right one of three
    bands.
    """

    FIXED = "fixed"
    LINES = "lines"


class DataSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where readings come from. `id` is the oracle's name of the source, `type` says what it tells of
    ("weather").
    """

    id: Name
    type: Name


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity of the source. `tolerance`, in the metric's unit, belongs to `within` and `compass` and
    only there.
    """

    id: Name
    rule: Rule
    tolerance: DecimalText | None


class ObservationWindow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readings count from `start` (included) to `end` (excluded)."""

    start: Date
    end: Date

    @property
    def length(self) -> Seconds:
        """Seconds between start and end."""
        return Seconds(self.end - self.start)


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Par band of a pair: Under if observed - baseline < lower, Over if > upper, both ends are Par."""

    target: Target
    metric: Name
    lower: DecimalText
    upper: DecimalText
    window_hours: Annotated[int, Meta(ge=1, le=336)]


class Scoring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules and, for `lines`, one line a pair, sorted by (target, metric)."""

    rules: ScoringRules
    lines: tuple[Line, ...]


class Observation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every oracle event of a competition has in common."""

    source: DataSource
    window: ObservationWindow
    signing_date: Date
    targets: Annotated[tuple[Target, ...], Meta(min_length=1, max_length=50)]
    metrics: Annotated[tuple[Metric, ...], Meta(min_length=1, max_length=16)]
    values_per_entry: Annotated[int, Meta(ge=1, le=800)]


class CreateEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to be made at the oracle, in our types; the oracle's client turns it into the oracle's
    JSON.
    """

    id: UUID
    source: DataSource
    window: ObservationWindow
    signing_date: Date
    targets: tuple[Target, ...]
    metrics: tuple[Name, ...]
    values_per_entry: int
    total_allowed_entries: int
    places: int
    scoring_rules: ScoringRules
    unlisted: bool
    lines_from_event: UUID | None


def create_event(
    observation: Observation,
    event_ids: tuple[UUID, ...],
    rules: ScoringRules,
    *,
    attempt: int,
    entries: int,
    places: int,
) -> CreateEvent:
    """The event of an attempt (1 to 8), or with attempt 0 the unlisted one that carries the lines. Raises
    InvalidInput.
    """
    if not 0 <= attempt <= ATTEMPTS:
        raise InvalidInput("attempt", f"{attempt} is no attempt", f"0 to {ATTEMPTS}")
    reference = attempt == 0
    return CreateEvent(
        id=event_ids[attempt],
        source=observation.source,
        window=observation.window,
        signing_date=observation.signing_date,
        targets=observation.targets,
        metrics=tuple(metric.id for metric in observation.metrics),
        values_per_entry=observation.values_per_entry,
        total_allowed_entries=entries,
        places=places,
        scoring_rules=rules,
        unlisted=reference,
        lines_from_event=event_ids[0] if rules is ScoringRules.LINES and not reference else None,
    )
