"""Steps back of the wall clock, seen by a clock that never goes back.

Back-off and leases are moments of the wall clock: after a step back of an hour each would last an hour longer, a settle
and a cancel too. After a step forward everything is due early, which costs one look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LEAST_STEP: Final = 20.0
"""Seconds; what is less is how clocks are kept right, and no longer than a back-off."""


class StepsBack:
    """Compares both clocks at each look."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._wall, self._steady = wall, steady
        self._apart = wall() - steady()

    def look(self) -> float:
        """Seconds that the wall clock went back since the last look; the same again until they are `covered`."""
        apart = self._wall() - self._steady()
        lost = self._apart - apart
        if lost < LEAST_STEP:
            self._apart = apart
            return 0.0
        return lost

    def covered(self, lost: float) -> None:
        """What waited for the time that is lost waits no longer."""
        self._apart -= lost
