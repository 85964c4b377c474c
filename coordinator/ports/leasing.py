"""Duties in the database: wanted, leased for a while, completed by whoever has the highest fence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from coordinator.domain.duties import Urgency

NOBODY: Mapping[str, Collection[str]] = MappingProxyType({})


class DutyRow(Struct, frozen=True):
    """An open duty as claimed: only the highest fence may complete it."""

    id: str
    lane: str
    channel: str
    kind: str
    args: bytes
    attempts: int
    failures: int
    fence: int
    v: int = 1
    """Version of `args`."""
    protective: bool = True
    """Goes on while its competition is stopped."""
    request_id: str = ""
    """Which request it is done for, see `correlation`."""
    defect: str = ""
    """Class of the exception that the last attempt ended with, when it was a defect of ours."""
    defects: int = 0
    """How often in a row it was the same one."""
    error: str | None = None
    """What the last attempt failed with."""


class Due(Struct, frozen=True):
    """A duty that could be leased now."""

    id: str
    lane: str
    channel: str
    urgency: Urgency
    due_at: float
    protective: bool


Choose = Callable[[Sequence[Due]], Collection[str]]
"""Which of the due duties are leased, by id."""


class DutyWrites(Protocol):
    """Of duties."""

    async def want_duties(
        self,
        lane: str,
        wanted: Mapping[str, tuple[str, str, bytes]],
        now: float,
        protective: Collection[str] = (),
    ) -> None:
        """Open what is wanted and new (id → channel, kind, args); what is open or dead and not wanted becomes
        obsolete. The ids in `protective` go on while the lane is stopped.
        """
        ...

    async def claim(
        self,
        now: float,
        lease: float,
        owner: str,
        limits: Mapping[str, int],
        *,
        full: Mapping[str, Collection[str]] = NOBODY,
        choose: Choose | None = None,
    ) -> Sequence[DutyRow]:
        """Lease due duties, at most `limits` for each channel; fence and attempts go up by one. Of a stopped lane only
        those that are protective, of the lanes that are `full` in a channel none of it. Without `choose` the most
        urgent ones; it is given more than `limits`.
        """
        ...

    async def extend(self, owner: str, until: float, ids: Collection[str]) -> Mapping[str, int]:
        """Leases of `owner` end at `until`; fences by id of those that are still its own."""
        ...

    async def end_leases(self, now: float, owner: str | None = None) -> int:
        """What an owner had leased is due at once; how much. Without an owner what anybody had: only for a process that
        is alone on its database.
        """
        ...

    async def set_back(self, now: float, seconds: float) -> int:
        """The wall clock went back by so much, to `now`: open duties that wait, and leases, end as much earlier; how
        many. None becomes due before `now`.
        """
        ...

    async def end_long_waits(self, now: float, longest: float) -> int:
        """Open duties that would wait for longer than `longest` seconds are due at once; how many."""
        ...

    async def complete(
        self,
        row: DutyRow,
        status: str,
        due_at: float,
        error: str | None,
        now: float,
        defect: str = "",
        *,
        held: bool = False,
    ) -> bool:
        """Write an attempt's outcome; `defect` is the class of an exception of ours. False when the fence is stale:
        then nothing changes. `held`: nothing was tried; the log of attempts gets no line for the same `error` again.
        """
        ...


class DutyReads(Protocol):
    """Of duties, without the write lock."""

    async def due(
        self, now: float, limits: Mapping[str, int], full: Mapping[str, Collection[str]] = NOBODY
    ) -> Sequence[Due]:
        """Duties that could be claimed, see `claim`. A read: does not take the write lock."""
        ...

    async def open_duties(self, lane: str) -> Sequence[tuple[str, str, int, str | None]]:
        """(kind, id, attempts, last error) of open and dead duties."""
        ...
