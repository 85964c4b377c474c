"""What the auditor and the hourly sweep read: which competitions nothing drives, which are late, and everything that
is stored because of one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from coordinator_core.units import Height, UnixTime

if TYPE_CHECKING:
    from coordinator.ports.following import Watch
    from coordinator.ports.store import LaneRecord
    from coordinator.ports.timing import Wake


class Moments(Struct, frozen=True, kw_only=True):
    """What every clock shows."""

    wall: UnixTime
    domain: UnixTime
    median: UnixTime
    """Median time past."""
    height: Height


class LateRow(Struct, frozen=True):
    """A competition that should have left its state by now."""

    lane: str
    state: str
    since: UnixTime
    """When it entered it (wall clock)."""


class Stored(Struct, frozen=True, kw_only=True):
    """A competition with all that follows from it, as of one read."""

    record: LaneRecord
    duties: Mapping[str, str]
    """Status of each duty that is open or dead, by id."""
    watches: frozenset[Watch]
    wake: Wake
    budget: Wake
    news: bool
    """Something happened that was not applied yet."""


class AuditReads(Protocol):
    """The auditor's reads. They take no write lock."""

    async def undriven(self, limit: int) -> Sequence[str]:
        """Competitions that are neither over nor stopped and have no open duty, no timer and no news: nothing would
        ever look at them again.
        """
        ...

    async def late(self, now: Moments, limit: int) -> Sequence[LateRow]:
        """Competitions that are over the budget of their state and not stopped, the longest late of a clock first."""
        ...

    async def stored(self, lane: str) -> Stored | None:
        """A competition with all that follows from it. Raises UnreadableRow."""
        ...


class AuditWrites(Protocol):
    """The auditor's part of a write transaction."""

    async def is_undriven(self, lane: str) -> bool:
        """Whether nothing would ever look at a competition again, as of this transaction."""
        ...
