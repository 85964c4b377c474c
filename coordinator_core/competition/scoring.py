"""Scores and ranking exactly as the oracle computes them (oracle section 5.4).

Doubles are used because the oracle compares doubles; nothing here is signed. The result is provisional until
the oracle attests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from coordinator_core.competition.observation import Line, Metric, Observation, Rule, Scoring, ScoringRules
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.errors import InvalidInput
from coordinator_core.oracle.outcomes import ranking_count, ranking_index

POINTS_PAR_FIXED = 20
POINTS = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """Forecast before the window and observation over it, in the metric's unit; None while unknown."""

    target: str
    metric: str
    baseline: float | None
    observed: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """An entry with its points and its index: the place of its id among all ids."""

    player: int
    entry_id: UUID
    base_score: int

    @property
    def score(self) -> int:
        """The number that the oracle stores."""
        return max(1, self.base_score) * 10_000


def base_score(picks: Sequence[Pick], readings: Sequence[Reading], observation: Observation, scoring: Scoring) -> int:
    """Points of an entry. A pair without two finite values gives none."""
    known = {(reading.target, reading.metric): reading for reading in readings}
    metrics = {metric.id: metric for metric in observation.metrics}
    lines = {(line.target, line.metric): line for line in scoring.lines}
    return sum(_points(pick, known, metrics, lines, scoring.rules) for pick in picks)


def leaderboard(scores: Mapping[UUID, int]) -> tuple[Scored, ...]:
    """Best first: base score descending, then entry id ascending."""
    order = sorted(scores, key=lambda entry_id: entry_id.int)
    listed = [Scored(player=i, entry_id=entry_id, base_score=scores[entry_id]) for i, entry_id in enumerate(order)]
    return tuple(sorted(listed, key=lambda scored: (-scored.base_score, scored.player)))


def outcome_of(scores: Mapping[UUID, int], places: int) -> int:
    """The outcome index of final base scores; refund-all if nobody has a point. Raises InvalidInput."""
    if any(score < 0 for score in scores.values()):
        raise InvalidInput("scores", "hold a negative one", "points of 0 and more")
    if not any(scores.values()):
        return ranking_count(len(scores), places)
    ranking = [scored.player for scored in leaderboard(scores)[:places]]
    return ranking_index(ranking, len(scores))


def _points(
    pick: Pick,
    readings: Mapping[tuple[str, str], Reading],
    metrics: Mapping[str, Metric],
    lines: Mapping[tuple[str, str], Line],
    rules: ScoringRules,
) -> int:
    pair = (pick.target, pick.metric)
    values = _values(readings.get(pair))
    metric = metrics.get(pick.metric)
    if values is None or metric is None:
        return 0
    if rules is ScoringRules.FIXED:
        if not _holds(pick.choice, metric, *values):
            return 0
        return POINTS_PAR_FIXED if pick.choice is Choice.PAR else POINTS
    line = lines.get(pair)
    return POINTS if line is not None and _band(line, *values) is pick.choice else 0


def _values(reading: Reading | None) -> tuple[float, float] | None:
    if reading is None or reading.baseline is None or reading.observed is None:
        return None
    if not (math.isfinite(reading.baseline) and math.isfinite(reading.observed)):
        return None
    return reading.baseline, reading.observed


def _holds(choice: Choice, metric: Metric, baseline: float, observed: float) -> bool:
    """Fixed rules. With `within` and `compass` one observation can satisfy Par and also Over or Under."""
    if metric.rule is Rule.ROUNDED:
        baseline, observed = _round(baseline), _round(observed)
    if choice is Choice.OVER:
        return observed > baseline
    if choice is Choice.UNDER:
        return observed < baseline
    return _is_par(metric, baseline, observed)


def _is_par(metric: Metric, baseline: float, observed: float) -> bool:
    if metric.tolerance is None:
        return observed == baseline
    distance = abs(observed - baseline)
    if metric.rule is Rule.COMPASS:
        distance = math.fmod(distance, 360.0)
        distance = min(distance, 360.0 - distance)
    return distance <= float(metric.tolerance)


def _band(line: Line, baseline: float, observed: float) -> Choice:
    miss = observed - baseline
    if miss < float(line.lower):
        return Choice.UNDER
    if miss > float(line.upper):
        return Choice.OVER
    return Choice.PAR


def _round(value: float) -> float:
    """Half away from zero; adding 0.5 first would round 0.49999999999999994 up."""
    whole = float(math.trunc(value))
    return whole + math.copysign(1.0, value) if abs(value - whole) >= 0.5 else whole
