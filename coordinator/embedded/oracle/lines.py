"""Lines: the band of misses called Par, fitted so that Over, Par and Under were equally frequent lately."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from coordinator.embedded.oracle.dates import DAY, HOUR, rfc3339
from coordinator.embedded.oracle.scoring import Band, Prediction
from coordinator.embedded.oracle.stations import STATIONS
from coordinator.embedded.oracle.weather import Weather, Window

WINDOW_HOURS = 24
LOOKBACK_DAYS = 60
MIN_WINDOWS = 20
READ_AFTER = 3 * HOUR

_NEIGHBOURS = 3


class Line(Struct, frozen=True):
    """A fitted line as it is served and copied into events."""

    target: str
    metric: str
    lower: float
    upper: float
    level: Literal["station", "pooled"]
    window_hours: int
    windows: int
    over: int
    par: int
    under: int
    first_window: str
    last_window: str
    fitted_at: str

    @property
    def band(self) -> Band:
        """What picks are scored against."""
        return Band(self.lower, self.upper)


class Miss(Struct, frozen=True):
    """`observed - baseline` of one past window."""

    window_start: int
    value: float


class LinesMissing(Exception):
    """Some pairs have no line; `pairs` names them as target/metric."""

    def __init__(self, pairs: Sequence[str]) -> None:
        super().__init__(", ".join(pairs))
        self.pairs = tuple(pairs)


def fit(misses: Iterable[float]) -> Band | None:
    """The cuts between neighbouring distinct misses that come nearest to three equal shares.

    None with fewer than three distinct misses. Six cuts around each of the one-third and two-thirds marks are
    tried; the first pair found wins ties.
    """
    values = sorted(misses)
    distinct = sorted(set(values))
    if len(distinct) < 3:
        return None
    cuts = [(low + high) / 2.0 for low, high in pairwise(distinct)]
    below = [bisect_right(values, low) for low in distinct[:-1]]
    total = len(values)

    def around(share: float) -> range:
        middle = bisect_left(below, share * total)
        return range(max(0, middle - _NEIGHBOURS), min(middle + _NEIGHBOURS, len(cuts)))

    def worst(first: int, second: int) -> float:
        shares = (below[first], below[second] - below[first], total - below[second])
        return max(abs(share / total - 1.0 / 3.0) for share in shares)

    pairs = [(a, b) for a in around(1.0 / 3.0) for b in around(2.0 / 3.0) if a < b]
    best = min(pairs, key=lambda pair: worst(*pair), default=None)
    return None if best is None else Band(cuts[best[0]], cuts[best[1]])


def current_lines(weather: Weather, targets: Sequence[str], metrics: Sequence[str], now: int) -> list[Line]:
    """The line of every target and metric as fitted on the UTC day of `now`. Raises LinesMissing."""

    @cache
    def pool(metric: str) -> list[Miss]:
        return [miss for name in STATIONS for miss in _misses(weather, name, metric, now)]

    found: list[Line] = []
    missing: list[str] = []
    for target in targets:
        for metric in metrics:
            line = _fitted(target, metric, "station", _misses(weather, target, metric, now), now)
            line = line or _fitted(target, metric, "pooled", pool(metric), now)
            if line is None:
                missing.append(f"{target}/{metric}")
            else:
                found.append(line)
    if missing:
        raise LinesMissing(missing)
    return found


def copied_lines(frozen: Sequence[Line], targets: Sequence[str], metrics: Sequence[str]) -> list[Line]:
    """The lines of an earlier event for these pairs, unchanged. Raises LinesMissing."""
    by_pair = {(line.target, line.metric): line for line in frozen if line.window_hours == WINDOW_HOURS}
    pairs = [(target, metric) for target in targets for metric in metrics]
    missing = [f"{target}/{metric}" for target, metric in pairs if (target, metric) not in by_pair]
    if missing:
        raise LinesMissing(missing)
    return [by_pair[pair] for pair in pairs]


def _misses(weather: Weather, target: str, metric: str, now: int) -> list[Miss]:
    if target not in STATIONS:
        return []
    today = now - now % DAY
    latest = now - READ_AFTER - WINDOW_HOURS * HOUR
    result: list[Miss] = []
    for start in range(today - LOOKBACK_DAYS * DAY, latest + 1, DAY):
        window = Window(start, start + WINDOW_HOURS * HOUR)
        baseline = weather.assess(target, metric, window, now).baseline
        observed = weather.observe(target, metric, window, now)
        if baseline is not None and observed is not None:
            result.append(Miss(start, observed - baseline))
    return result


def _fitted(
    target: str, metric: str, level: Literal["station", "pooled"], misses: Sequence[Miss], now: int
) -> Line | None:
    if len(misses) < MIN_WINDOWS:
        return None
    band = fit(miss.value for miss in misses)
    if band is None:
        return None
    counts: dict[Prediction, int] = {"Over": 0, "Par": 0, "Under": 0}
    for miss in misses:
        counts[band.outcome(miss.value)] += 1
    starts = [miss.window_start for miss in misses]
    return Line(
        target=target,
        metric=metric,
        lower=band.lower,
        upper=band.upper,
        level=level,
        window_hours=WINDOW_HOURS,
        windows=len(misses),
        over=counts["Over"],
        par=counts["Par"],
        under=counts["Under"],
        first_window=rfc3339(min(starts)),
        last_window=rfc3339(max(starts)),
        fitted_at=rfc3339(now - now % DAY),
    )
