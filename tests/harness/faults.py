"""What a network and a service do to a call, drawn from a seed (harness H-FAULT)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """How a call goes wrong. The service has heard of it from TRUNCATED on."""

    REFUSED = "refused"
    """The connection breaks before anything is read."""
    INTERNAL_ERROR = "500"
    TOO_MANY = "429"
    """With Retry-After of one second."""
    SLOW = "slow"
    """Half a second late, then as it should be."""
    HALF_OPEN = "half-open"
    """The connection stays open and silent, then breaks."""
    PARTITION = "partition"
    """The service is away for a while: every connection breaks."""
    TRUNCATED = "truncated"
    """The answer ends in its middle."""
    DUPLICATED = "duplicated"
    """The call is delivered twice; one of the two answers comes back."""
    LOST_ACKNOWLEDGEMENT = "lost acknowledgement"
    """The service did it; its answer never arrives."""


WEIGHTS: Final = {
    FaultKind.REFUSED: 4,
    FaultKind.INTERNAL_ERROR: 3,
    FaultKind.TOO_MANY: 1,
    FaultKind.SLOW: 4,
    FaultKind.HALF_OPEN: 1,
    FaultKind.PARTITION: 1,
    FaultKind.TRUNCATED: 3,
    FaultKind.DUPLICATED: 4,
    FaultKind.LOST_ACKNOWLEDGEMENT: 5,
}
SLOW_SECONDS: Final = 0.5
SILENT_SECONDS: Final = (1.0, 4.0)
PARTITION_SECONDS: Final = (0.5, 3.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call."""

    kind: FaultKind
    seconds: float = 0.0
    """How long silence or partition lasts."""
    second_answer: bool = False
    """Of a call delivered twice: the answer to the second delivery comes back."""


class FaultSource:
    """The faults of one service: the n-th call meets the same fault in every run with the same seed."""

    def __init__(self, seed: str, percent: float) -> None:
        self._rng = random.Random(seed)
        self._share = percent / 100.0
        self.calls = 0
        self.drawn: Counter[FaultKind] = Counter()

    def draw(self) -> Fault | None:
        """The fault of the next call; None when it goes well."""
        self.calls += 1
        chance, kind = self._rng.random(), self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        span = PARTITION_SECONDS if kind is FaultKind.PARTITION else SILENT_SECONDS
        seconds, second = self._rng.uniform(*span), self._rng.random() < 0.5
        if chance >= self._share:
            return None
        self.drawn[kind] += 1
        return Fault(kind, seconds, second)

    def end(self) -> None:
        """No fault from now on."""
        self._share = 0.0
