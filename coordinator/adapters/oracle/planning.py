"""Whether an observation can be offered: what sources, stations, forecasts and lines say now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from coordinator.adapters.oracle.translation import source_from_wire, station_from_wire
from coordinator.adapters.oracle.wire import LinesAnswer, WindowCompatibility, WireSource, WireStation
from coordinator.ports.oracle import OracleSource, PlanFinding, PlanProblem, PlanReport
from coordinator_core.competition.observation import NOAA_WEATHER, Observation, ObservationWindow, ScoringRules
from coordinator_core.units import UnixTime

STATIONS_A_QUERY = 20
MAX_PLANNED_SECONDS = 7 * 86_400
DAY_SECONDS = 86_400
HALF_DAY_SECONDS = 43_200

T = TypeVar("T")
_BARRED_FROM_HALF = {0: {"temp_high", "humidity"}, HALF_DAY_SECONDS: {"temp_low", "humidity"}}


class Reader(Protocol):
    """Reads a path of the oracle as a type."""

    async def read(self, path: str, kind: type[T], params: dict[str, str] | None = None) -> T:
        """GET with retries."""
        ...


async def check_plan(reader: Reader, observation: Observation, rules: ScoringRules) -> PlanReport:
    """Look at everything; forecasts and lines are asked for only when names and window are right."""
    findings = [
        *_check_source(await reader.read("/oracle/sources", list[WireSource]), observation, rules),
        *_check_targets(await reader.read("/stations", list[WireStation]), observation),
        *_check_window(observation),
    ]
    if findings:
        return PlanReport(None, tuple(findings))
    evaluated_at, missing = await _forecasts(reader, observation)
    if observation.window.start <= evaluated_at:
        missing.append(PlanFinding(PlanProblem.WINDOW, "window", "it has begun by the oracle's clock"))
    if rules is ScoringRules.LINES:
        missing.extend(await _lines(reader, observation))
    return PlanReport(evaluated_at, tuple(missing))


def _check_source(found: Sequence[WireSource], observation: Observation, rules: ScoringRules) -> list[PlanFinding]:
    wanted = observation.source.id
    source = next((source_from_wire(row) for row in found if row.id == wanted), None)
    if source is None:
        return [PlanFinding(PlanProblem.UNKNOWN_SOURCE, wanted, "the oracle has no such source")]
    return [finding for finding in _check_metrics(source, observation, rules) if finding is not None]


def _check_metrics(source: OracleSource, observation: Observation, rules: ScoringRules) -> list[PlanFinding | None]:
    known = {row.metric.id: row for row in source.metrics}
    findings: list[PlanFinding | None] = []
    for metric in observation.metrics:
        row = known.get(metric.id)
        if row is None:
            findings.append(PlanFinding(PlanProblem.UNKNOWN_METRIC, metric.id, "the source has no such metric"))
        elif row.metric != metric:
            reason = f"the oracle's rule is {row.metric.rule.value} {row.metric.tolerance or ''}".rstrip()
            findings.append(PlanFinding(PlanProblem.OTHER_RULE, metric.id, reason))
        elif rules is ScoringRules.LINES and not row.calibrated:
            findings.append(PlanFinding(PlanProblem.NO_LINE, metric.id, "the metric has no lines"))
    return findings


def _check_targets(found: Sequence[WireStation], observation: Observation) -> list[PlanFinding]:
    known = {station_from_wire(row).id for row in found}
    return [
        PlanFinding(PlanProblem.UNKNOWN_TARGET, target, "the oracle has no such station")
        for target in observation.targets
        if target not in known
    ]


def _check_window(observation: Observation) -> list[PlanFinding]:
    window = observation.window
    reason = None
    if not window.start < window.end <= observation.signing_date:
        reason = "start, end and signing date are out of order"
    elif window.length > MAX_PLANNED_SECONDS:
        reason = "forecasts can be checked for seven days at most"
    elif observation.source.id == NOAA_WEATHER:
        reason = _noaa_window_problem(window, {metric.id for metric in observation.metrics})
    return [] if reason is None else [PlanFinding(PlanProblem.WINDOW, "window", reason)]


def _noaa_window_problem(window: ObservationWindow, metrics: set[str]) -> str | None:
    if window.length >= DAY_SECONDS:
        return None
    barred = _BARRED_FROM_HALF.get(window.start % DAY_SECONDS)
    if window.length != HALF_DAY_SECONDS or barred is None:
        return "it must be 24 hours or longer, or the twelve hours from 00:00 or 12:00 UTC"
    wrong = sorted(metrics & barred)
    return f"that half of the day cannot score {', '.join(wrong)}" if wrong else None


async def _forecasts(reader: Reader, observation: Observation) -> tuple[UnixTime, list[PlanFinding]]:
    targets, metrics = observation.targets, [metric.id for metric in observation.metrics]
    covered: set[tuple[str, str]] = set()
    reasons: dict[tuple[str, str], str] = {}
    evaluated_at = UnixTime(0)
    for first in range(0, len(targets), STATIONS_A_QUERY):
        answer = await reader.read(
            "/stations/window-compatibility",
            WindowCompatibility,
            {
                "start": _rfc3339(observation.window.start),
                "end": _rfc3339(observation.window.end),
                "station_ids": ",".join(targets[first : first + STATIONS_A_QUERY]),
                "metrics": ",".join(metrics),
            },
        )
        evaluated_at = UnixTime(int(answer.evaluated_at.timestamp()))
        for row in answer.forecasts:
            pair = (row.station_id, row.metric)
            if row.baseline_available:
                covered.add(pair)
            else:
                reasons[pair] = row.reason or ""
    pairs = [(target, metric) for target in targets for metric in metrics]
    return evaluated_at, [
        PlanFinding(PlanProblem.NO_FORECAST, "/".join(pair), reasons.get(pair) or "no forecast was served")
        for pair in pairs
        if pair not in covered
    ]


async def _lines(reader: Reader, observation: Observation) -> list[PlanFinding]:
    answer = await reader.read(
        "/oracle/lines",
        LinesAnswer,
        {
            "targets": ",".join(observation.targets),
            "metrics": ",".join(metric.id for metric in observation.metrics),
            "source": observation.source.id,
        },
    )
    return [PlanFinding(PlanProblem.NO_LINE, pair, "no line has been fitted yet") for pair in answer.missing]


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
