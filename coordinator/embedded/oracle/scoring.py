"""Points for picks and the ranking that is attested: fixed rules and fitted lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from coordinator.embedded.oracle.metrics import ParRule

Prediction = Literal["Over", "Par", "Under"]

FIXED_PAR_POINTS = 20
POINTS = 10


class Pick(Struct, frozen=True):
    """One guess about one metric at one target."""

    target: str
    metric: str
    prediction: Prediction


class Reading(Struct, frozen=True):
    """Forecast and observation of one metric at one target; None where there is no value."""

    target: str
    metric: str
    baseline: float | None
    observed: float | None

    @property
    def values(self) -> tuple[float, float] | None:
        """(baseline, observed) when both are finite."""
        if self.baseline is None or self.observed is None:
            return None
        if not (math.isfinite(self.baseline) and math.isfinite(self.observed)):
            return None
        return self.baseline, self.observed


class Band(Struct, frozen=True):
    """A line: Par from `lower` to `upper` of the miss, both included."""

    lower: float
    upper: float

    def outcome(self, miss: float) -> Prediction:
        """What happened, for a miss `observed - baseline`."""
        if miss < self.lower:
            return "Under"
        return "Over" if miss > self.upper else "Par"


Rule = ParRule | Band


class Scored(Struct, frozen=True):
    """An entry with its points."""

    id: UUID
    base_score: int

    @property
    def score(self) -> int:
        """The integer that is stored and shown."""
        return max(1, self.base_score) * 10_000


def base_score(picks: Sequence[Pick], readings: Sequence[Reading], rule: Callable[[str, str], Rule | None]) -> int:
    """Points of an entry. `rule(target, metric)` is None for what the event does not score."""
    values = {(reading.target, reading.metric): reading.values for reading in readings}
    return sum(
        _points(pick.prediction, pair, found)
        for pick in picks
        if (pair := values.get((pick.target, pick.metric))) is not None
        and (found := rule(pick.target, pick.metric)) is not None
    )


def winning_indices(scored: Sequence[Scored], places: int) -> tuple[int, ...]:
    """Indices in id order of the best `places` entries, best first; all indices in order when nobody scored.

    Ties go to the smaller id, compared as 128 bits.
    """
    by_id = sorted(scored, key=lambda entry: entry.id.int)
    if all(entry.base_score == 0 for entry in by_id):
        return tuple(range(len(by_id)))
    order = sorted(range(len(by_id)), key=lambda index: (-by_id[index].base_score, by_id[index].id.int))
    return tuple(order[:places])


def _points(prediction: Prediction, values: tuple[float, float], rule: Rule) -> int:
    baseline, observed = values
    if isinstance(rule, Band):
        return POINTS if rule.outcome(observed - baseline) == prediction else 0
    if rule.rule == "rounded":
        baseline, observed = _half_away(baseline), _half_away(observed)
    if prediction == "Par":
        return FIXED_PAR_POINTS if _is_par(rule, baseline, observed) else 0
    right = observed > baseline if prediction == "Over" else observed < baseline
    return POINTS if right else 0


def _is_par(rule: ParRule, baseline: float, observed: float) -> bool:
    if rule.rule == "within":
        return abs(observed - baseline) <= rule.limit
    if rule.rule == "compass":
        apart = abs(observed - baseline) % 360.0
        return min(apart, 360.0 - apart) <= rule.limit
    return observed == baseline


def _half_away(value: float) -> float:
    whole = math.floor(abs(value))
    if abs(value) - whole >= 0.5:
        whole += 1
    return math.copysign(whole, value)
