"""Counters, gauges and histograms in Prometheus' text format 0.0.4. A value outside of a label's set counts as `other`,
so that no id of anybody can become a series of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

PREFIX: Final = "coordinator_"
OTHER: Final = "other"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = Mapping[str, Collection[str]]
_Key = tuple[str, ...]


class Metric(ABC):
    """A name, what it means, and for each label the values it can have."""

    kind = "untyped"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        self.name = f"{PREFIX}{name}"
        self.meaning = meaning
        self.labels: dict[str, frozenset[str]] = {}
        for label, values in (labels or {}).items():
            self.close(label, values)

    def close(self, label: str, values: Collection[str]) -> None:
        """These are all the values that a label can have."""
        self.labels[label] = frozenset(values) | {OTHER}

    def lines(self) -> Iterator[str]:
        """Heading and samples."""
        yield f"# HELP {self.name} {self.meaning}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self._samples()

    @abstractmethod
    def _samples(self) -> Iterator[str]: ...

    def _key(self, given: Sequence[str]) -> _Key:
        pairs = zip(given, self.labels.values(), strict=True)
        return tuple(value if value in known else OTHER for value, known in pairs)

    def _sample(self, key: _Key, value: float, suffix: str = "", more: Iterable[tuple[str, str]] = ()) -> str:
        pairs = [*zip(self.labels, key, strict=True), *more]
        shown = ",".join(f'{label}="{text}"' for label, text in pairs)
        return f"{self.name}{suffix}{{{shown}}} {_number(value)}" if shown else f"{self.name}{suffix} {_number(value)}"


class Counter(Metric):
    """Goes up only."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None, *, from_zero: bool = False) -> None:
        """`from_zero`: every series is there from the start. `increase` does not count what a series begins with, so an
        alert on it would miss the first time.
        """
        super().__init__(name, meaning, labels)
        shown = product(*((labels or {}).values())) if from_zero or not self.labels else ()
        self._values: dict[_Key, float] = dict.fromkeys(shown, 0.0)

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count `amount` more for these values of the labels, in their order."""
        key = self._key(labels)
        self._values[key] = self._values.get(key, 0.0) + amount

    def _samples(self) -> Iterator[str]:
        return (self._sample(key, value) for key, value in sorted(self._values.items()))


class Gauge(Metric):
    """As it is now. What is not known is not shown, or NaN: never a healthy zero."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[_Key, float] = {}

    def set(self, value: float, *labels: str) -> None:
        """The value for these values of the labels."""
        self._values[self._key(labels)] = value

    def replace(self, values: Mapping[str, float]) -> None:
        """All values of a gauge with one label: what is not given is not shown any more. Values outside of the set
        are added up under `other`."""
        self._values = {}
        for label, value in values.items():
            key = self._key((label,))
            self._values[key] = self._values.get(key, 0.0) + value

    def _samples(self) -> Iterator[str]:
        return (self._sample(key, value) for key, value in sorted(self._values.items()))


class Histogram(Metric):
    """How long something takes, in seconds."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        super().__init__(name, meaning, labels)
        self._counts: dict[_Key, list[int]] = {}
        self._sums: dict[_Key, float] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        """It took so long once more."""
        key = self._key(labels)
        counts = self._counts.setdefault(key, [0] * (len(SECONDS) + 1))
        counts[next((n for n, bound in enumerate(SECONDS) if seconds <= bound), len(SECONDS))] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def _samples(self) -> Iterator[str]:
        for key, counts in sorted(self._counts.items()):
            total = 0
            for bound, count in zip((*SECONDS, math.inf), counts, strict=True):
                total += count
                yield self._sample(key, total, "_bucket", [("le", _number(bound))])
            yield self._sample(key, self._sums[key], "_sum")
            yield self._sample(key, total, "_count")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
