"""The read-only weather routes under /stations: planning hints, never proof of a settlement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from coordinator.embedded.oracle.dates import DAY, HOUR, parse_rfc3339, rfc3339, to_unix
from coordinator.embedded.oracle.errors import Rejected
from coordinator.embedded.oracle.metrics import DEFAULT_METRICS, METRICS, SOURCE, UNITS, is_valid_target
from coordinator.embedded.oracle.stations import STATIONS
from coordinator.embedded.oracle.weather import FORECAST_REACH, Weather, Window

MAX_COMPATIBILITY_STATIONS = 20
MAX_QUERY_STATIONS = 100
MAX_COMPATIBILITY_WINDOW = 7 * DAY
MAX_RANGE = 31 * DAY

_NOTICE = (
    "Forecast compatibility is provisional. Settlement checks the announced window, coverage and every "
    "enabled metric again."
)

Json = dict[str, Any]
Query = Mapping[str, str]


def eligible_stations(query: Query, now: int) -> list[Json]:
    """GET /stations/eligible."""
    _only(query, {"days", "window_hours"})
    days = _number(query, "days", 3, 1, 3)
    hours = _number(query, "window_hours", 24, 1, 24)
    return _eligible(days, hours, now)


def eligible_forecasts(query: Query, weather: Weather, now: int) -> Json:
    """GET /stations/eligible/forecasts."""
    _only(query, {"days", "start", "end"})
    days = _number(query, "days", 3, 1, 3)
    start, end = _date(query, "start"), _date(query, "end")
    length = end - start
    first = to_unix(start)
    whole = length % timedelta(hours=1) == timedelta(0)
    if not (now <= first <= now + 7 * DAY and timedelta(hours=1) <= length <= timedelta(hours=48) and whole):
        raise Rejected(
            "Discovery needs 1-3 history days and a future window of 1-48 whole hours starting within seven days"
        )
    hours = min(24, length // timedelta(hours=1))
    window = Window(first, to_unix(end))
    return {
        "stations": _eligible(days, hours, now),
        "forecasts": _forecast_rows(weather, list(STATIONS), window, now),
    }


def forecasts(query: Query, weather: Weather, now: int) -> list[Json]:
    """GET /stations/forecasts: one row a station and UTC day."""
    stations = _station_ids(query, MAX_QUERY_STATIONS)
    return _forecast_rows(weather, stations, _range(query, Window(now, now + 7 * DAY)), now)


def observations(query: Query, weather: Weather, now: int) -> list[Json]:
    """GET /stations/observations: one row a station over the range."""
    stations = _station_ids(query, MAX_QUERY_STATIONS)
    window = _range(query, Window(now - 7 * DAY, now))
    rows: list[Json] = []
    for station in stations:
        values = {metric: weather.observe(station, metric, window, now) for metric in METRICS}
        if values["temp_high"] is None or values["temp_low"] is None:
            continue
        rows.append(
            {
                "station_id": station,
                "start_time": rfc3339(window.start),
                "end_time": rfc3339(min(window.end, now)),
                **values,
                "wind_speed": _whole(values["wind_speed"]),
                "wind_direction": _whole(values["wind_direction"]),
                "humidity": _whole(values["humidity"]),
                "temp_unit_code": "fahrenheit",
                "ice_amt": None,
            }
        )
    return rows


def window_compatibility(query: Query, weather: Weather, now: int) -> Json:
    """GET /stations/window-compatibility."""
    _only(query, {"start", "end", "station_ids", "metrics"})
    start, end = to_unix(_date(query, "start")), to_unix(_date(query, "end"))
    if not start < end <= start + MAX_COMPATIBILITY_WINDOW:
        raise Rejected("start must precede end and the requested window must be at most 7 days")
    stations = _station_ids(query, MAX_COMPATIBILITY_STATIONS)
    metrics = _names(query.get("metrics", ",".join(DEFAULT_METRICS)))
    if not metrics or len(set(metrics)) != len(metrics) or any(metric not in METRICS for metric in metrics):
        raise Rejected(f"metrics must be distinct NOAA metric IDs: {','.join(METRICS)}")
    window = Window(start, end)
    return {
        "source": SOURCE,
        "requested_window": {
            "start": rfc3339(start),
            "end": rfc3339(end),
            "station_ids": stations,
            "metrics": metrics,
        },
        "evaluated_at": rfc3339(now),
        "forecasts": [
            _compatibility(weather, station, metric, window, now) for station in stations for metric in metrics
        ],
        "observations": "pending" if end > now else "not_assessed",
        "stations": [{"station_id": station, "fixed_hour_precipitation_source": "unknown"} for station in stations],
        "settlement_ready": False,
        "precipitation_capability_warning": None,
        "notice": _NOTICE,
    }


def _compatibility(weather: Weather, station: str, metric: str, window: Window, now: int) -> Json:
    found = weather.assess(station, metric, window, now)
    return {
        "station_id": station,
        "metric": metric,
        "unit": UNITS[metric],
        "baseline_available": found.baseline is not None,
        "baseline": found.baseline,
        "reason": found.reason,
        "native_intervals": [],
    }


def _eligible(days: int, hours: int, now: int) -> list[Json]:
    return [
        {
            "station_id": station.station_id,
            "station_name": station.station_name,
            "state": station.state,
            "iata_id": station.iata_id,
            "latitude": station.latitude,
            "longitude": station.longitude,
            "clean_days": days,
            "days_checked": days,
            "last_report": rfc3339(now - now % HOUR),
            "forecast_through": rfc3339(now + FORECAST_REACH),
            "coverage_checked_at": rfc3339(now),
            "recent_window_hours": hours,
            "max_report_gap_seconds": HOUR,
        }
        for station in STATIONS.values()
    ]


def _forecast_rows(weather: Weather, stations: Sequence[str], window: Window, now: int) -> list[Json]:
    rows: list[Json] = []
    for station in stations:
        for day in range(window.start - window.start % DAY, window.end, DAY):
            part = Window(max(day, window.start), min(day + DAY, window.end))
            values = {metric: weather.assess(station, metric, part, now).baseline for metric in METRICS}
            if values["temp_low"] is not None and values["temp_high"] is not None:
                rows.append(_forecast_row(station, day, part, values))
    return rows


def _forecast_row(station: str, day: int, part: Window, values: Mapping[str, float | None]) -> Json:
    return {
        "station_id": station,
        "date": rfc3339(day)[:10],
        "start_time": rfc3339(part.start),
        "end_time": rfc3339(part.end),
        "temp_low": _whole(values["temp_low"]),
        "temp_high": _whole(values["temp_high"]),
        "wind_speed": _whole(values["wind_speed"]),
        "wind_direction": _whole(values["wind_direction"]),
        "humidity_max": _whole(values["humidity"]),
        "humidity_min": None,
        "temp_unit_code": "fahrenheit",
        "precip_chance": None,
        "rain_amt": values["rain_amt"],
        "snow_amt": values["snow_amt"],
        "ice_amt": None,
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _range(query: Query, default: Window) -> Window:
    start = to_unix(_date(query, "start")) if "start" in query else default.start
    end = to_unix(_date(query, "end")) if "end" in query else default.end
    if not start < end <= start + MAX_RANGE:
        raise Rejected("start must precede end and the range must be at most 31 days")
    return Window(start, end)


def _station_ids(query: Query, most: int) -> list[str]:
    stations = _names(query.get("station_ids", ""))
    if not 1 <= len(stations) <= most or len(set(stations)) != len(stations):
        raise Rejected(f"station_ids must list between 1 and {most} distinct stations")
    for station in stations:
        if not is_valid_target(station):
            raise Rejected(f'invalid station id "{station}"')
    return stations


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _date(query: Query, name: str) -> datetime:
    date = parse_rfc3339(query.get(name, ""))
    if date is None:
        raise Rejected(f"{name} must be an RFC 3339 date")
    return date


def _number(query: Query, name: str, default: int, least: int, most: int) -> int:
    try:
        value = msgspec.convert(query.get(name, default), int, strict=False)
    except msgspec.ValidationError as error:
        raise Rejected(f"{name} must be a number") from error
    if not least <= value <= most:
        raise Rejected(f"{name} must be between {least} and {most}")
    return value


def _only(query: Query, known: set[str]) -> None:
    unknown = set(query) - known
    if unknown:
        raise Rejected(f"unknown parameter {', '.join(sorted(unknown))}")
