"""How far the work is: queues, ages and counts, read from the database in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from coordinator_core.units import UnixTime


class Progress(Struct, frozen=True, kw_only=True):
    """Counts and oldest moments as of one read. Moments are wall-clock times."""

    states: Mapping[str, int]
    """Competitions by state."""
    entered: Mapping[str, UnixTime]
    """When the competition that is longest in a state entered it."""
    stopped: int
    """Competitions that wait for an operator."""
    stuck: int
    """Competitions that are not over and that nothing drives: no open duty, timer or inbox row."""
    inbox: Mapping[int, int]
    """New inbox rows by priority."""
    inbox_oldest: UnixTime | None
    duties: Mapping[str, int]
    """Open duties by channel."""
    due: Mapping[str, float]
    """Since when the duty that waits longest to be claimed is due, by channel; only of those that are due."""
    dead: int
    """Duties that were given up."""
    wal_bytes: int


class MeasuringReads(Protocol):
    """The monitoring's reads."""

    async def progress(self, now: float) -> Progress:
        """How far the work is at `now` (wall clock). Takes no write lock."""
        ...
