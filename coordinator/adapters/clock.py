"""The machine's clock."""

from __future__ import annotations

import time

from coordinator_core.units import UnixTime


class SystemClock:
    """See ports.clock.PreciseClock."""

    def now(self) -> UnixTime:
        """Seconds since 1970."""
        return UnixTime(int(time.time()))

    def precise(self) -> float:
        """Seconds since 1970."""
        return time.time()
