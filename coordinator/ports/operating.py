"""What operators read and write in the database: what needs attention, and what somebody did about it.

An operator never edits a row. An act is written down with who and why, and what follows from it is written in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from coordinator_core.units import UnixTime


class Act(Struct, frozen=True, kw_only=True):
    """Something that an operator does."""

    dkey: str
    """The same act again has the same one: it has no second effect."""
    who: str
    """`operator` for the token of the data directory, else the owner's x-only key (hex)."""
    act: str
    lane: str | None = None
    subject: str = ""
    """What it is about within the competition: a duty's id or kind."""
    reason: str


class ActRow(Struct, frozen=True, kw_only=True):
    """One line of the audit log."""

    seq: int
    at: UnixTime
    who: str
    act: str
    lane: str | None
    subject: str
    reason: str


class StoppedRow(Struct, frozen=True):
    """A competition that waits for an operator."""

    lane: str
    reason: str
    since: UnixTime


class TroubleRow(Struct, frozen=True):
    """A duty that does not get done: dead, or failing again and again."""

    lane: str
    duty: str
    kind: str
    status: str
    attempts: int
    failures: int
    error: str
    since: UnixTime
    """First failure of the row of failures that it is in."""


class Leftover(StrEnum):
    """What a database may forget after a while."""

    NEWS = "news"
    """Inbox rows without an answer, done so long ago."""
    COMMANDS = "commands"
    """Inbox rows of competitions that ended so long ago, with their answers."""
    DUTIES = "duties"
    """Done and obsolete duties of competitions that ended so long ago, with their attempts."""
    ATTEMPTS = "attempts"
    """The log of attempts, so long ago."""
    WATCHES = "watches"
    """What competitions that ended so long ago looked for in blocks."""
    BLOCKS = "blocks"
    """Headers so old, and so deep, that no reorg reaches them, and that no competition has anything in."""
    ALERTS = "alerts"
    """Troubles that were over so long ago."""


class OperatorWrites(Protocol):
    """The operator's part of a write transaction."""

    async def acted(self, dkey: str) -> bytes | None:
        """The answer of an act that was done before."""
        ...

    async def record_act(self, act: Act, answer: bytes, now: UnixTime) -> None:
        """One line more in the audit log, for ever."""
        ...

    async def hurry(self, now: float, *, lane: str | None = None, duty: str | None = None) -> int:
        """Open duties that nobody works at are due now and start their back-off anew; their number."""
        ...

    async def reopen(
        self, now: float, *, lane: str | None = None, kind: str | None = None, duty: str | None = None
    ) -> Sequence[str]:
        """Dead duties that match everything given are open and due; their ids."""
        ...

    async def search_again(self, lane: str) -> int:
        """The past is searched once more for every watch of a competition; their number."""
        ...


class OperatorReads(Protocol):
    """The operator's reads."""

    async def unfinished(self) -> Sequence[str]:
        """Competitions that have not ended, or still have something to do; the oldest first."""
        ...

    async def stopped(self) -> Sequence[StoppedRow]:
        """Competitions that wait for an operator, the longest waiting first."""
        ...

    async def troubled_duties(self, failures: int, limit: int) -> Sequence[TroubleRow]:
        """Duties that are dead, or open after so many failures in a row; at most `limit`, the oldest trouble first."""
        ...

    async def lanes_with(self, kind: str) -> Sequence[tuple[str, str, UnixTime]]:
        """(competition, key, observed at) of every fact of a kind."""
        ...

    async def acts(self, limit: int, before: int | None = None) -> Sequence[ActRow]:
        """The audit log, newest first, from before a line on."""
        ...

    async def retire(self, what: Leftover, before: UnixTime, limit: int) -> int:
        """Forget at most `limit` rows that are older (wall clock), in a transaction of its own; their number."""
        ...

    async def last_act(self, names: Sequence[str]) -> ActRow | None:
        """The newest act with one of these names."""
        ...
