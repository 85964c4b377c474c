"""Signs of life: when each loop last turned, and what is counted on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coordinator.engine.components import Child
from coordinator.engine.metrics.meters import Meters

FAILURES: Final = 3
SUCCESSES: Final = 2


@dataclass(slots=True)
class Hysteresis:
    """Healthy until three checks in a row failed, then again after two that did not. A single flap changes nothing."""

    healthy: bool = True
    _streak: int = 0

    def note(self, succeeded: bool) -> None:
        """What one check found."""
        if succeeded is self.healthy:
            self._streak = 0
            return
        self._streak += 1
        if self._streak >= (FAILURES if self.healthy else SUCCESSES):
            self.healthy, self._streak = succeeded, 0


@dataclass(slots=True)
class Vitals:
    """Shared by the loops of one engine. `clock` gives seconds that never go back."""

    meters: Meters = field(default_factory=Meters)
    clock: Callable[[], float] = time.monotonic
    _beats: dict[Child, float] = field(default_factory=dict[Child, float])

    def beat(self, child: Child) -> None:
        """A loop turned."""
        self._beats[child] = self.clock()

    def age(self, child: Child) -> float | None:
        """Seconds since a loop last turned; None for one that never did."""
        beat = self._beats.get(child)
        return None if beat is None else max(0.0, self.clock() - beat)
