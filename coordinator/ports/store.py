"""The one database as the engine sees it: short write transactions, facts, duties with leases and fences.

A `Transaction` is one atomic write. Nothing outside may be called while one is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from typing import Protocol, TypeVar

from msgspec import Struct

from coordinator.domain.facts import Fact, FactBook
from coordinator.domain.lane import SpendSeen
from coordinator.ports.alerts import AlertReads, AlertWrites
from coordinator.ports.auditing import AuditReads, AuditWrites
from coordinator.ports.following import ChainReads, ChainWrites
from coordinator.ports.leasing import DutyReads, DutyWrites
from coordinator.ports.measuring import MeasuringReads
from coordinator.ports.money import MoneyReads
from coordinator.ports.operating import OperatorReads, OperatorWrites
from coordinator.ports.timing import TimerReads, TimerWrites
from coordinator_core.units import Height, UnixTime

F = TypeVar("F", bound=Fact)


class InboxClass(IntEnum):
    """How urgent news is, the lowest number first; every fourth time the longest waiting of the others."""

    RESULT = 0
    """Of our own duties."""
    CONTROL = 1
    BLOCK = 2
    STATUS = 3
    """Of a service."""
    COMMAND = 4
    TIMER = 5
    RECONCILE = 6


class News(Struct, frozen=True):
    """A new inbox row."""

    prio: int
    seq: int
    lane: str


class LaneRecord(Struct, frozen=True):
    """A competition as stored."""

    id: str
    rev: int
    state: bytes
    """JSON of the state struct, with its tag, at the present version."""
    entered_at: UnixTime
    facts: FactBook
    confirmed: Mapping[str, Height]
    spent: Mapping[str, SpendSeen]
    quarantined: str | None = None
    """Why the competition is stopped."""


class TransitionRow(Struct, frozen=True):
    """One line of the transition log."""

    seq: int
    from_state: str
    to_state: str
    reason: str
    at: UnixTime


class Transaction(AlertWrites, AuditWrites, ChainWrites, DutyWrites, OperatorWrites, TimerWrites, Protocol):
    """One write transaction."""

    async def create_lane(self, lane: str, state: bytes, tag: str, now: UnixTime) -> None:
        """A new competition with its first state."""
        ...

    async def load(self, lane: str) -> LaneRecord | None:
        """State, facts and chain of a competition."""
        ...

    async def save_state(
        self, record: LaneRecord, steps: Sequence[tuple[str, str, str]], state: bytes, now: UnixTime, *, terminal: bool
    ) -> None:
        """Write the state after `steps` (from, to, reason). Compare-and-set on the record's rev."""
        ...

    async def put_facts(self, lane: str, facts: Sequence[Fact], source: str, now: UnixTime) -> bool:
        """Upsert facts; True when anything changed. A fact that is not repeatable stays as first written, and one that
        tells of more than a late one stands against it (Fact.rank).
        """
        ...

    async def notify(self, lane: str, prio: int, source: str, dkey: str, kind: str, now: UnixTime) -> int | None:
        """Put an inbox row with the request id of this task, or a new one; None when (source, dkey) is known."""
        ...

    async def cause(self, lane: str) -> str:
        """Request id of the newest new inbox row of a lane; empty without one."""
        ...

    async def answered(self, source: str, dkey: str) -> bytes | None:
        """The stored answer of an inbox row, if there is one."""
        ...

    async def answer(self, seq: int, response: bytes, now: UnixTime) -> None:
        """Store the answer of an inbox row and mark it done."""
        ...

    async def finish_inbox(self, lane: str, now: UnixTime) -> int:
        """Mark every new row of a lane done; their number."""
        ...

    async def park_inbox(self, lane: str, reason: str, now: UnixTime) -> None:
        """Keep every new row of a lane for later."""
        ...

    async def quarantine(self, lane: str, reason: str, now: UnixTime) -> None:
        """Stop a lane and park its inbox rows. One that is stopped already keeps since when it is."""
        ...

    async def resume(self, lane: str) -> None:
        """A stopped lane goes on: what was parked is new again, and its duties are due."""
        ...

    async def lanes_in(self, states: Collection[str]) -> Sequence[str]:
        """Lanes whose state has one of these tags."""
        ...

    async def pin(self, duty: str, slot: str, value: bytes) -> bytes:
        """Write once; the stored value, which is another's when it came first."""
        ...

    async def put_secret(self, lane: str, name: str, sealed: bytes) -> None:
        """Write a secret that `SecretStore.seal` sealed, with what relies on it; one of that name stays as it is."""
        ...

    async def reserve(self, resource: str, lane: str, purpose: str, value: bytes = b"") -> bool:
        """Take a unique resource; True when it is this lane's and purpose's, now or before."""
        ...

    async def put_blob(self, data: bytes) -> str:
        """Store bytes under their SHA256 (hex)."""
        ...

    async def wake_lanes(self, lanes: Sequence[str], prio: int, source: str, kind: str, now: UnixTime) -> None:
        """One inbox row for each lane, which nothing else is the same as."""
        ...


class Store(
    AlertReads, AuditReads, ChainReads, DutyReads, MeasuringReads, MoneyReads, OperatorReads, TimerReads, Protocol
):
    """The database."""

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """One write transaction at a time; commits on success, rolls back on any exception."""
        ...

    async def lane(self, lane: str) -> LaneRecord | None:
        """A competition as of now, read only."""
        ...

    async def lanes(self, *, limit: int | None = None, before: str | None = None) -> Sequence[str]:
        """Competitions, newest first: at most `limit`, older than `before`."""
        ...

    async def transitions(self, lane: str) -> Sequence[TransitionRow]:
        """The transition log of a competition, oldest first."""
        ...

    async def blob(self, name: str) -> bytes | None:
        """Stored bytes."""
        ...

    async def pinned(self, duty: str, slot: str) -> bytes | None:
        """A pin, if it is written."""
        ...

    async def news(self, limit: int) -> Sequence[News]:
        """New inbox rows, of each class at most `limit`, those that wait longest. A read, no write lock."""
        ...

    async def going_in(self, states: Collection[str]) -> Sequence[str]:
        """Lanes whose state has one of these tags and that are not stopped."""
        ...

    async def facts_of(self, kind: type[F], key: str, since: UnixTime) -> Sequence[F]:
        """Facts of a kind under a key, of all competitions, that were observed at or after `since` (wall clock)."""
        ...

    async def last_payment(self) -> str | None:
        """Payment hash of the prize that was paid last, over all competitions; None when none was."""
        ...

    async def last_activity(self, lane: str) -> UnixTime | None:
        """When anything of a competition was last observed (wall clock)."""
        ...
