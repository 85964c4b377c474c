"""Node time: the clock that block times follow. It starts in the past, flows or stands still, and can be moved on.

The validation engine refuses blocks more than two hours ahead of this machine's clock, so node time never runs
further ahead than that. A chain that starts 30 days back has 30 days to spend.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from coordinator.embedded.node.errors import ClockRefused

MAX_AHEAD_SECONDS: Final = 7_000
"""A little less than the two hours the engine allows, for the time between reading the clock and mining."""
REGTEST_GENESIS_TIME: Final = 1_296_688_602


class NodeClock:
    """Seconds since 1970 as this node sees them. `offset` is added to the machine's clock while the time flows."""

    def __init__(self, offset: int = 0, frozen_at: int | None = None, machine: Callable[[], float] = time.time) -> None:
        self._offset = offset
        self._frozen_at = frozen_at
        self._machine = machine

    @property
    def offset(self) -> int:
        """Seconds between this clock and the machine's."""
        return self._offset

    @property
    def frozen_at(self) -> int | None:
        """The instant at which time stands still, None while it flows."""
        return self._frozen_at

    @property
    def latest(self) -> int:
        """The latest time a block may have now."""
        return int(self._machine()) + MAX_AHEAD_SECONDS

    def now(self) -> int:
        """Node time."""
        return self._frozen_at if self._frozen_at is not None else int(self._machine()) + self._offset

    def freeze(self, instant: int) -> None:
        """Stand still at `instant` (Core's setmocktime). Raises ClockRefused outside of what blocks may carry."""
        if not REGTEST_GENESIS_TIME < instant <= self.latest:
            raise ClockRefused(
                "timestamp",
                f"{instant} is outside {REGTEST_GENESIS_TIME + 1} to {self.latest}",
                "node time may not run two hours ahead of this machine's clock; "
                "start the chain further back to have more days to spend",
            )
        self._frozen_at = instant

    def flow(self) -> None:
        """Go on from the present node time at the machine's pace."""
        self._offset = self.now() - int(self._machine())
        self._frozen_at = None

    def advance(self, seconds: int) -> None:
        """Move on by up to `seconds`: where the engine's limit is nearer, only up to there."""
        step = max(0, min(seconds, self.latest - self.now()))
        if self._frozen_at is not None:
            self._frozen_at += step
        else:
            self._offset += step
