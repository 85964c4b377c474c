"""The one source served, noaa_weather: its metrics, Par rules, targets and observation windows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

SOURCE = "noaa_weather"
DEFAULT_METRICS = ("temp_high", "temp_low", "wind_speed")

_TARGET = re.compile(r"[A-Za-z0-9_-]{1,16}")
_HALVES = {12: {"temp_low", "humidity"}, 0: {"temp_high", "humidity"}}


class ParRule(Struct, frozen=True, omit_defaults=True):
    """How an observation equals its forecast under fixed scoring."""

    rule: Literal["exact", "rounded", "within", "compass"]
    tolerance: float | UnsetType = UNSET

    @property
    def limit(self) -> float:
        """The tolerance, 0 for rules that have none."""
        return 0.0 if self.tolerance is UNSET else self.tolerance


class Metric(Struct, frozen=True):
    """A metric that can be scored."""

    id: str
    par: ParRule
    calibrated: bool


METRICS = {
    metric.id: metric
    for metric in (
        Metric("temp_high", ParRule("rounded"), True),
        Metric("temp_low", ParRule("rounded"), True),
        Metric("wind_speed", ParRule("exact"), True),
        Metric("wind_direction", ParRule("compass", 22.0), False),
        Metric("rain_amt", ParRule("within", 0.1), False),
        Metric("snow_amt", ParRule("within", 0.5), False),
        Metric("humidity", ParRule("within", 5.0), True),
    )
}

UNITS = {
    "temp_high": "fahrenheit",
    "temp_low": "fahrenheit",
    "wind_speed": "knots",
    "wind_direction": "degrees_true",
    "rain_amt": "inches",
    "snow_amt": "inches",
    "humidity": "percent",
}


class Source(Struct, frozen=True):
    """The answer of GET /oracle/sources, one row."""

    id: str
    metrics: tuple[Metric, ...]
    default_metrics: tuple[str, ...]
    default: bool


NOAA_WEATHER = Source(SOURCE, tuple(METRICS.values()), DEFAULT_METRICS, True)


def is_valid_target(target: str) -> bool:
    """True for 1 to 16 letters, digits, hyphens or underscores."""
    return _TARGET.fullmatch(target) is not None


def window_problem(start: datetime, end: datetime, metrics: Sequence[str]) -> str | None:
    """Why the source cannot read this window for these metrics, or None when it can."""
    if end - start >= timedelta(hours=24):
        return None
    opening = start.astimezone(UTC)
    barred = _HALVES.get(opening.hour) if opening == _on_the_hour(opening) else None
    if end - start != timedelta(hours=12) or barred is None:
        return (
            "observation window must be at least 24 hours, or a day (12:00 to 24:00 UTC) or night "
            "(00:00 to 12:00 UTC) half"
        )
    wrong = [metric for metric in metrics if metric in barred]
    return f"a 12-hour window starting then cannot score {', '.join(wrong)}" if wrong else None


def _on_the_hour(date: datetime) -> datetime:
    return date.replace(minute=0, second=0, microsecond=0)
