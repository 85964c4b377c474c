"""The wall clock of the embedded network: the system's, plus an offset that tests can push forward."""

from __future__ import annotations

import time
from collections.abc import Callable

from coordinator.embedded.lightning.state import State


class Clock:
    """Seconds since 1970. `source` replaces the system's clock in tests."""

    def __init__(self, state: State, source: Callable[[], float] = time.time) -> None:
        self._state = state
        self._source = source

    def now(self) -> float:
        """Seconds."""
        return self._source() + self._state.tip.clock_offset

    def seconds(self) -> int:
        """Whole seconds."""
        return int(self.now())

    def nanoseconds(self) -> int:
        """Nanoseconds, as LND stamps payments."""
        return int(self.now() * 1_000_000) * 1000
