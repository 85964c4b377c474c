"""Answers of noaa-oracle as JSON. Members that are not used here are ignored; 1.x events decode as well."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

Date = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, lt=1 << 31)]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Hex33 = Annotated[str, Meta(pattern=r"\A0[23][0-9a-f]{64}\Z")]
Prediction = Literal["Over", "Par", "Under"]


class PublicKey(Struct, frozen=True):
    """GET /oracle/pubkey: base64 of the compressed key."""

    key: bytes


class WirePick(Struct, frozen=True):
    """One pick."""

    target: str
    metric: str
    prediction: Prediction


class WireEntry(Struct, frozen=True):
    """One entry of an event."""

    id: UUID
    event_id: UUID
    picks: list[WirePick] = []
    score: int | None = None
    base_score: int | None = None


class WireReading(Struct, frozen=True):
    """Baseline and observation of a pair."""

    target: str
    metric: str
    baseline: float | None = None
    observed: float | None = None


class WireLine(Struct, frozen=True):
    """A line as events carry it."""

    target: str
    metric: str
    lower: float
    upper: float
    window_hours: int


class WireAnnouncement(Struct, frozen=True):
    """Locking points and the oracle's own last moment."""

    locking_points: list[Hex33]
    expiry: Annotated[int, Meta(ge=0, lt=1 << 32)]


class WireBlock(Struct, frozen=True):
    """Why settlement could not proceed."""

    code: str
    message: str
    checked_at: Date


class EventSummary(Struct, frozen=True, kw_only=True):
    """One row of GET /oracle/events; also the part that a full event shares with it."""

    id: UUID
    signing_date: Date
    start_observation_date: Date
    end_observation_date: Date
    locations: list[str]
    number_of_values_per_entry: Count
    status: Literal["Live", "Running", "Completed", "Signed"]
    total_allowed_entries: Count
    number_of_places_win: Count
    source: str = "noaa_weather"
    scoring_fields: list[str] = []
    readings: list[WireReading] = []
    attestation: Hex32 | None = None
    unlisted: bool = False
    scoring_rules: Literal["fixed", "lines"] = "fixed"
    settlement_block: WireBlock | None = None
    settled_without_entries_at: object = None
    nonce_point: Hex33 | None = None
    nonce: Hex32 | None = None
    """Only 1.x: the secret nonce. Reduced to its point at once, never kept."""


class WireEvent(EventSummary, frozen=True, kw_only=True):
    """GET /oracle/events/{id}."""

    entries: list[WireEntry]
    event_announcement: WireAnnouncement
    lines: list[WireLine] = []
    statement: msgspec.Raw = msgspec.Raw()
    """Empty or null while entries are missing."""


class WireMetric(Struct, frozen=True):
    """A metric of a source."""

    id: str
    par: WireRule
    calibrated: bool = False


class WireRule(Struct, frozen=True):
    """A Par rule."""

    rule: Literal["exact", "rounded", "within", "compass"]
    tolerance: float | None = None


class WireSource(Struct, frozen=True):
    """One row of GET /oracle/sources."""

    id: str
    metrics: list[WireMetric]
    default_metrics: list[str]


class WireStation(Struct, frozen=True):
    """One row of GET /stations."""

    station_id: str
    station_name: str
    latitude: float
    longitude: float
    state: str = ""


class WireAssessment(Struct, frozen=True):
    """One pair of GET /stations/window-compatibility."""

    station_id: str
    metric: str
    baseline_available: bool
    reason: str | None = None


class WindowCompatibility(Struct, frozen=True):
    """GET /stations/window-compatibility."""

    evaluated_at: Date
    forecasts: list[WireAssessment]


class LinesAnswer(Struct, frozen=True):
    """GET /oracle/lines: all lines, or none and the pairs that lack one."""

    missing: list[str]


class Failure(Struct, frozen=True):
    """Both error shapes: a sentence, or a type with a detail."""

    error: str | FailureDetail


class FailureDetail(Struct, frozen=True):
    """Why a signed request was turned away."""

    type: str
    detail: str
