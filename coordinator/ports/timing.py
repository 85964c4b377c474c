"""Timers in the database: when a competition has to be looked at again although nothing happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from coordinator_core.units import Height, UnixTime


class Wake(Struct, frozen=True):
    """When a lane has to be looked at again although nothing happened."""

    wall: UnixTime | None = None
    domain: UnixTime | None = None
    height: Height | None = None
    median: UnixTime | None = None
    """By median time past."""


NEVER = Wake()


class TimerWrites(Protocol):
    """Of timers."""

    async def set_wake(self, lane: str, wake: Wake, budget: Wake = NEVER) -> None:
        """Replace the lane's timers, and the moments by which it should have left its state."""
        ...

    async def fire_timers(
        self,
        wall: UnixTime,
        domain: UnixTime,
        height: Height,
        *,
        median: UnixTime | None = None,
        limit: int = 500,
    ) -> Sequence[str]:
        """Lanes with a due timer; the timers are removed, at most `limit` of each clock."""
        ...


class TimerReads(Protocol):
    """Of timers, without the write lock."""

    async def timer_due(
        self, wall: UnixTime, domain: UnixTime, height: Height, *, median: UnixTime | None = None
    ) -> bool:
        """True when a timer could fire. A read: does not take the write lock."""
        ...
