"""The two clocks: the domain clock rules dates and heights, the wall clock rules what people and servers do now."""

from __future__ import annotations

from typing import Final, Protocol

from coordinator_core.units import UnixTime

MOST_SKEW: Final = 60
"""Seconds that another's clock may be from ours. Players sign their requests for a minute; keymeld takes five."""


class WallClock(Protocol):
    """Authentication, signed headers, invoice expiry and the windows of the closing follow this clock."""

    def now(self) -> UnixTime:
        """Seconds since 1970 on this machine."""
        ...


class PreciseClock(WallClock, Protocol):
    """The same clock with its fractions, for leases and back-off."""

    def precise(self) -> float:
        """Seconds since 1970 on this machine; `now` is its whole seconds."""
        ...


class DomainClock(Protocol):
    """Dates of the terms follow this clock; in development it is the time of the chain's tip."""

    async def now(self) -> UnixTime:
        """Seconds since 1970 as the competition sees them."""
        ...
