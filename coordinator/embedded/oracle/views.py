"""The JSON that is served: what is stored, in the upstream's shapes and order of members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordinator.embedded.oracle.dates import rfc3339
from coordinator.embedded.oracle.metrics import METRICS
from coordinator.embedded.oracle.npub import encode_npub
from coordinator.embedded.oracle.records import Entry, Event, Progress
from coordinator.embedded.oracle.scoring import Pick, Reading
from coordinator.embedded.oracle.statement import SignedStatement

Json = dict[str, Any]


def event_view(
    event: Event,
    progress: Progress,
    entries: Sequence[Entry],
    points: Sequence[bytes],
    statement: SignedStatement | None,
    now: int,
) -> Json:
    """GET /oracle/events/{id}."""
    view = {
        **_common(event, progress, now),
        "entry_ids": [str(entry.id) for entry in entries],
        "entries": [entry_view(entry) for entry in entries],
        "event_announcement": {
            "locking_points": [point.hex() for point in points],
            "expiry": event.expiry,
        },
        "coordinator_pubkey": encode_npub(event.coordinator),
    }
    if event.lines:
        view["lines"] = event.lines
    if statement is not None:
        view["statement"] = statement
    return view


def summary_view(event: Event, progress: Progress, now: int) -> Json:
    """One row of GET /oracle/events."""
    return {**_common(event, progress, now), "total_entries": progress.total_entries}


def entry_view(entry: Entry) -> Json:
    """An entry with its picks in both forms."""
    return {
        "id": str(entry.id),
        "event_id": str(entry.event_id),
        "picks": entry.picks,
        "expected_observations": _by_station(entry.picks),
        "score": entry.score,
        "base_score": entry.base_score,
    }


def _common(event: Event, progress: Progress, now: int) -> Json:
    view: Json = {
        "id": str(event.id),
        "signing_date": rfc3339(event.signing_date),
        "start_observation_date": rfc3339(event.start),
        "end_observation_date": rfc3339(event.end),
        "locations": event.locations,
        "number_of_values_per_entry": event.values_per_entry,
        "status": progress.status(event, now),
        "total_allowed_entries": event.allowed_entries,
        "number_of_places_win": event.places,
        "source": event.source,
        "scoring_fields": event.metrics,
        "readings": progress.readings,
        "weather": _weather_rows(event, progress.readings),
        "attestation": progress.attestation.hex() if progress.attestation is not None else None,
        "nonce_point": event.nonce.point.hex(),
        "unlisted": event.unlisted,
        "scoring_rules": event.scoring_rules,
    }
    if progress.block is not None:
        view["settlement_block"] = {
            "code": progress.block.code,
            "message": progress.block.message,
            "checked_at": rfc3339(progress.block.checked_at),
        }
    if progress.settled_without_entries_at is not None:
        view["settled_without_entries_at"] = rfc3339(progress.settled_without_entries_at)
    return view


def _by_station(picks: Sequence[Pick]) -> list[Json]:
    rows: dict[str, Json] = {}
    for pick in picks:
        row = rows.setdefault(pick.target, {"stations": pick.target, **dict.fromkeys(METRICS)})
        row[pick.metric] = pick.prediction
    return list(rows.values())


def _weather_rows(event: Event, readings: Sequence[Reading]) -> list[Json]:
    values = {(reading.target, reading.metric): reading for reading in readings}
    rows: list[Json] = []
    for station in event.locations:
        high, low, wind = (values.get((station, name)) for name in ("temp_high", "temp_low", "wind_speed"))
        if high is None or low is None or high.baseline is None or low.baseline is None:
            continue
        observed = None
        if high.observed is not None and low.observed is not None:
            observed = _row(event, low.observed, high.observed, wind.observed if wind else None)
        forecasted = _row(event, low.baseline, high.baseline, wind.baseline if wind else None)
        rows.append({"station_id": station, "observed": observed, "forecasted": forecasted})
    return rows


def _row(event: Event, low: float, high: float, wind: float | None) -> Json:
    return {
        "date": rfc3339(event.start),
        "temp_low": round(low),
        "temp_high": round(high),
        "wind_speed": None if wind is None else round(wind),
    }
