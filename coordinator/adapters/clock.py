"""The machine's clock."""

from __future__ import annotations

import time

from coordinator_core.units import UnixTime


class SystemClock:
    """See ports.clock.WallClock."""

    def now(self) -> UnixTime:
        """Seconds since 1970."""
        return UnixTime(int(time.time()))
