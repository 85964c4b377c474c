"""Between the JSON of noaa-oracle and the values of the port. Raises VerificationFailed for contradictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from coordinator.adapters.oracle import wire
from coordinator.ports.oracle import (
    Announcement,
    AttestationReport,
    EntryPicks,
    EventStatus,
    OracleEntry,
    OracleEvent,
    OracleSource,
    Reading,
    SettlementBlock,
    SourceMetric,
    Station,
)
from coordinator_core.competition.documents import decimal_text
from coordinator_core.competition.observation import (
    CreateEvent,
    Line,
    Metric,
    ObservationWindow,
    Rule,
    ScoringRules,
)
from coordinator_core.competition.picks import Choice, Pick, sorted_picks
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.secp256k1 import generator_mul, parse_point
from coordinator_core.units import UnixTime, unix_time

MAX_OUTCOMES = 20_000


def event_to_json(event: CreateEvent) -> dict[str, Any]:
    """The body of POST /oracle/events."""
    body: dict[str, Any] = {
        "id": str(event.id),
        "signing_date": _rfc3339(event.signing_date),
        "start_observation_date": _rfc3339(event.window.start),
        "end_observation_date": _rfc3339(event.window.end),
        "source": event.source.id,
        "locations": event.targets,
        "scoring_fields": event.metrics,
        "number_of_values_per_entry": event.values_per_entry,
        "total_allowed_entries": event.total_allowed_entries,
        "number_of_places_win": event.places,
        "unlisted": event.unlisted,
        "scoring_rules": event.scoring_rules.value,
    }
    if event.lines_from_event is not None:
        body["lines_from_event"] = str(event.lines_from_event)
    return body


def entries_to_json(event_id: UUID, entries: Sequence[EntryPicks]) -> dict[str, Any]:
    """The body of POST /oracle/events/{id}/entries."""
    return {
        "event_id": str(event_id),
        "entries": [
            {
                "id": str(entry.id),
                "event_id": str(event_id),
                "picks": [
                    {"target": pick.target, "metric": pick.metric, "prediction": pick.choice.value.capitalize()}
                    for pick in entry.picks
                ],
            }
            for entry in entries
        ],
    }


def event_from_wire(event_id: UUID, found: wire.WireEvent) -> OracleEvent:
    """A full event, which must be the one that was asked for."""
    report = report_from_wire(event_id, found)
    nonce_point, secret = _nonce_point(found)
    points = tuple(_point(point, "locking point") for point in found.event_announcement.locking_points)
    if not 3 <= len(points) <= MAX_OUTCOMES:
        raise _contradiction(f"{len(points)} locking points")
    return OracleEvent(
        id=found.id,
        source=found.source,
        window=ObservationWindow(start=_unix(found.start_observation_date), end=_unix(found.end_observation_date)),
        signing_date=_unix(found.signing_date),
        targets=tuple(found.locations),
        metrics=tuple(found.scoring_fields),
        values_per_entry=found.number_of_values_per_entry,
        total_allowed_entries=found.total_allowed_entries,
        places=found.number_of_places_win,
        scoring_rules=ScoringRules(found.scoring_rules),
        unlisted=found.unlisted,
        lines=_lines(found.lines),
        announcement=Announcement(nonce_point, points, UnixTime(found.event_announcement.expiry)),
        entries=_entries(found),
        readings=tuple(Reading(r.target, r.metric, r.baseline, r.observed) for r in found.readings),
        statement=None if bytes(found.statement) in (b"", b"null") else bytes(found.statement),
        report=report,
        served_secret_nonce=secret,
    )


def report_from_wire(event_id: UUID, found: wire.EventSummary) -> AttestationReport:
    """What a summary or an event says of the result."""
    if found.id != event_id:
        raise _contradiction(f"event {found.id} was served for {event_id}")
    block = found.settlement_block
    return AttestationReport(
        event_id=found.id,
        status=EventStatus(found.status),
        attestation=None if found.attestation is None else bytes.fromhex(found.attestation),
        block=None if block is None else SettlementBlock(block.code, block.message, _unix(block.checked_at)),
        settled_without_entries=found.settled_without_entries_at is not None,
    )


def differences(event: OracleEvent, asked: CreateEvent) -> list[str]:
    """Names of what the oracle holds otherwise than it was asked for."""
    pairs = {
        "source": (event.source, asked.source.id),
        "window": (event.window, asked.window),
        "signing date": (event.signing_date, asked.signing_date),
        "targets": (event.targets, tuple(asked.targets)),
        "metrics": (event.metrics, tuple(asked.metrics)),
        "values per entry": (event.values_per_entry, asked.values_per_entry),
        "entries": (event.total_allowed_entries, asked.total_allowed_entries),
        "places": (event.places, asked.places),
        "scoring rules": (event.scoring_rules, asked.scoring_rules),
        "unlisted": (event.unlisted, asked.unlisted),
        "number of outcomes": (
            len(event.announcement.locking_points),
            math.perm(asked.total_allowed_entries, asked.places) + 1,
        ),
        "lines": (len(event.lines), _line_count(asked)),
    }
    return [name for name, (held, wanted) in pairs.items() if held != wanted]


def same_entries(held: Sequence[OracleEntry], wanted: Sequence[EntryPicks]) -> bool:
    """True when the oracle holds exactly these entries with exactly these picks."""
    return [(entry.id, entry.picks) for entry in held] == [
        (entry.id, sorted_picks(entry.picks)) for entry in sorted(wanted, key=lambda entry: entry.id.int)
    ]


def source_from_wire(found: wire.WireSource) -> OracleSource:
    """A data source with its metrics."""
    metrics = tuple(
        SourceMetric(
            Metric(
                id=metric.id,
                rule=Rule(metric.par.rule),
                tolerance=None if metric.par.tolerance is None else decimal_text(metric.par.tolerance),
            ),
            metric.calibrated,
        )
        for metric in found.metrics
    )
    return OracleSource(found.id, metrics, tuple(found.default_metrics))


def station_from_wire(found: wire.WireStation) -> Station:
    """A station."""
    return Station(found.station_id, found.station_name, found.state, found.latitude, found.longitude)


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(date: datetime) -> UnixTime:
    try:
        return unix_time(math.floor(date.timestamp()), "date")
    except (InvalidInput, OverflowError, ValueError) as error:
        raise _contradiction("a date out of range") from error


def _nonce_point(found: wire.EventSummary) -> tuple[bytes, bool]:
    """The public nonce, and whether the oracle gave the secret one away."""
    if found.nonce is not None:
        try:
            return generator_mul(bytes.fromhex(found.nonce)), True
        except InvalidInput as error:
            raise _contradiction("the nonce is no scalar") from error
    if found.nonce_point is None:
        raise _contradiction("an event without a nonce point")
    return _point(found.nonce_point, "nonce point"), False


def _point(text: str, what: str) -> bytes:
    try:
        return parse_point(bytes.fromhex(text), what)
    except InvalidInput as error:
        raise _contradiction(f"a {what} that is no point") from error


def _lines(found: Sequence[wire.WireLine]) -> tuple[Line, ...]:
    lines = [
        Line(
            target=line.target,
            metric=line.metric,
            lower=decimal_text(line.lower),
            upper=decimal_text(line.upper),
            window_hours=line.window_hours,
        )
        for line in found
    ]
    return tuple(sorted(lines, key=lambda line: (line.target, line.metric)))


def _line_count(asked: CreateEvent) -> int:
    return len(asked.targets) * len(asked.metrics) if asked.scoring_rules is ScoringRules.LINES else 0


def _entries(found: wire.WireEvent) -> tuple[OracleEntry, ...]:
    for entry in found.entries:
        if entry.event_id != found.id:
            raise _contradiction(f"entry {entry.id} belongs to event {entry.event_id}")
    if len({entry.id for entry in found.entries}) != len(found.entries):
        raise _contradiction("an entry is served twice")
    entries = sorted(found.entries, key=lambda entry: entry.id.int)
    return tuple(OracleEntry(entry.id, _picks(entry.picks), entry.base_score, entry.score) for entry in entries)


def _picks(found: Sequence[wire.WirePick]) -> tuple[Pick, ...]:
    return sorted_picks(
        [Pick(target=pick.target, metric=pick.metric, choice=Choice(pick.prediction.lower())) for pick in found]
    )


def _contradiction(reason: str) -> VerificationFailed:
    return VerificationFailed("oracle answer", reason, fault=Fault.ORACLE)
