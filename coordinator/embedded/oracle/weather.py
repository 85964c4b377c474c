"""Readings of a window: what a script says, else the generated climate.

A forecast counts when it was issued before the window starts and at most seven days earlier; the latest such
issue wins. An observation counts when its time lies in the window and has passed. One scripted value in a
window replaces all generated ones of that station and metric there; a scripted null takes them away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from coordinator.embedded.oracle.climate import STEP_SECONDS, Climate
from coordinator.embedded.oracle.dates import DAY
from coordinator.embedded.oracle.metrics import METRICS
from coordinator.embedded.oracle.scoring import Reading
from coordinator.embedded.oracle.stations import STATIONS

ISSUE_LOOKBACK = 7 * DAY
FORECAST_REACH = 9 * DAY
"""How far ahead of its issue a generated forecast goes: seven days to a start, two more to an end."""

NO_BASELINE = "No verified baseline covers this metric and window"
NO_STATION = "The station is not in the forecast"

_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "temp_high": max,
    "temp_low": min,
    "wind_speed": max,
    "wind_direction": lambda values: values[len(values) // 2],
    "rain_amt": lambda values: round(sum(values), 2),
    "snow_amt": lambda values: round(sum(values), 1),
    "humidity": max,
}


class ScriptedValue(Struct, frozen=True):
    """A value put in by hand, for one station, metric and time; None says there is no value."""

    station_id: str
    metric: str
    time: int
    value: float | None
    issued_at: int | None = None
    """When a forecast was issued; None for an observation."""


class Script(Protocol):
    """Where scripted values are kept."""

    def observations(self, station_id: str, metric: str, start: int, end: int) -> Sequence[float | None]:
        """Scripted observations with start <= time < end, in time order."""
        ...

    def forecast(
        self, station_id: str, metric: str, window: tuple[int, int], issued: tuple[int, int]
    ) -> tuple[float | None] | None:
        """The latest scripted forecast for the window, issued within `issued`; None when there is none."""
        ...


class Window(Struct, frozen=True):
    """An observation window, UNIX seconds, end excluded."""

    start: int
    end: int


class Assessment(Struct, frozen=True):
    """A baseline, or the reason why there is none."""

    baseline: float | None
    reason: str | None


class Weather:
    """Forecasts and observations of the known stations at a moment in time."""

    def __init__(self, climate: Climate, script: Script) -> None:
        self._climate = climate
        self._script = script

    def assess(self, station_id: str, metric: str, window: Window, now: int) -> Assessment:
        """The forecast of a metric over a window as known at `now`."""
        if station_id not in STATIONS:
            return Assessment(None, NO_STATION)
        issued_by = min(now, window.start - 1)
        issues = (window.start - ISSUE_LOOKBACK, issued_by)
        scripted = self._script.forecast(station_id, metric, (window.start, window.end), issues)
        value = scripted[0] if scripted is not None else self._generated(station_id, metric, window, issued_by)
        return Assessment(value, None if value is not None else NO_BASELINE)

    def observe(self, station_id: str, metric: str, window: Window, now: int) -> float | None:
        """The observation of a metric over the part of a window that has passed at `now`."""
        end = min(window.end, now)
        if station_id not in STATIONS or end <= window.start:
            return None
        scripted = self._script.observations(station_id, metric, window.start, end)
        if scripted:
            values = [value for value in scripted if value is not None]
        else:
            steps = _steps(window.start, end)
            values = [self._climate.observed(station_id, metric, step) for step in steps]
        return _AGGREGATES[metric](values) if values else None

    def readings(self, window: Window, targets: Sequence[str], metrics: Sequence[str], now: int) -> list[Reading]:
        """One reading for each target and metric, in their order."""
        return [
            Reading(
                target,
                metric,
                self.assess(target, metric, window, now).baseline,
                self.observe(target, metric, window, now),
            )
            for target in targets
            for metric in metrics
        ]

    def _generated(self, station_id: str, metric: str, window: Window, issued_by: int) -> float | None:
        if window.end > issued_by + FORECAST_REACH or metric not in METRICS:
            return None
        steps = _steps(window.start, window.end)
        values = [self._climate.forecast(station_id, metric, step) for step in steps]
        return _AGGREGATES[metric](values) if values else None


def _steps(start: int, end: int) -> range:
    return range(-(-start // STEP_SECONDS) * STEP_SECONDS, end, STEP_SECONDS)
