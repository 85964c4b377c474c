"""The one database as the engine sees it: short write transactions, facts, duties with leases and fences.

A `Transaction` is one atomic write. Nothing outside may be called while one is open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from types import MappingProxyType
from typing import Protocol, TypeVar

from msgspec import Struct

from coordinator.domain.duties import Urgency
from coordinator.domain.facts import Fact, FactBook
from coordinator.domain.lane import SpendSeen
from coordinator.ports.alerts import AlertReads, AlertWrites
from coordinator.ports.auditing import AuditReads, AuditWrites
from coordinator.ports.bitcoin import Block
from coordinator.ports.measuring import MeasuringReads
from coordinator.ports.money import MoneyReads
from coordinator.ports.operating import OperatorReads, OperatorWrites
from coordinator_core.units import Height, UnixTime

F = TypeVar("F", bound=Fact)
NOBODY: Mapping[str, Collection[str]] = MappingProxyType({})


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


class TransitionRow(Struct, frozen=True):
    """One line of the transition log."""

    seq: int
    from_state: str
    to_state: str
    reason: str
    at: UnixTime


class Watch(Struct, frozen=True, order=True):
    """Something to look for in blocks: a transaction ("t", txid) or the spend of an outpoint ("o", "txid:vout").

    That is enough: every transaction of a competition has a txid that is known before it can be in a block, or spends
    an output that is watched, so nothing has to be looked for by its scriptPubKey. Coins of the wallet are read from
    the node's UTXO set when they are needed.
    """

    keytype: str
    key: str


class Search(Struct, frozen=True):
    """A watch whose past has to be searched from `height` on."""

    lane: str
    watch: Watch
    height: Height


class BlockHeader(Struct, frozen=True):
    """The chain cursor: the last block whose hits are stored."""

    height: Height
    block_hash: str
    time: UnixTime
    median_time_past: UnixTime


class Hit(Struct, frozen=True):
    """A watched thing was found in a block."""

    lane: str
    watch: Watch
    txid: str


class Wake(Struct, frozen=True):
    """When a lane has to be looked at again although nothing happened."""

    wall: UnixTime | None = None
    domain: UnixTime | None = None
    height: Height | None = None
    median: UnixTime | None = None
    """By median time past."""


NEVER = Wake()


class Transaction(AlertWrites, AuditWrites, OperatorWrites, Protocol):
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

    async def set_wake(self, lane: str, wake: Wake, budget: Wake = NEVER) -> None:
        """Replace the lane's timers, and the moments by which it should have left its state."""
        ...

    async def set_watches(self, lane: str, watches: Mapping[Watch, Height]) -> None:
        """Add watches, each with the height from which it has to be looked for; up to the cursor that is the past and
        has to be searched. Known ones stay, except that an earlier height counts.
        """
        ...

    async def watching(self, transactions: Collection[str], outpoints: Collection[str]) -> Sequence[tuple[str, Watch]]:
        """(lane, watch) of whoever looks for one of these txids, or for a spend of one of these "txid:vout"."""
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

    async def wake_lanes(self, lanes: Sequence[str], prio: int, source: str, kind: str, now: UnixTime) -> None:
        """One inbox row for each lane, which nothing else is the same as."""
        ...

    async def add_hits(self, block: BlockHeader, hits: Sequence[Hit]) -> bool:
        """Hits in a stored block. False, and nothing is written, when this block is not stored."""
        ...

    async def searched(self, searches: Sequence[Search], upto: Height) -> None:
        """All blocks below `upto` were searched for them; one that has reached the cursor is done."""
        ...

    async def add_block(self, block: Block) -> None:
        """Move the cursor one block on."""
        ...

    async def keep_block(self, block: Block) -> bool:
        """Store a block below the cursor if none is stored at its height; True when it is stored now."""
        ...

    async def drop_tip(self) -> Sequence[str]:
        """Roll the cursor one block back; the lanes that lost a hit."""
        ...


class Store(AlertReads, AuditReads, MeasuringReads, OperatorReads, MoneyReads, Protocol):
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

    async def tip(self, *, first: bool = False) -> BlockHeader | None:
        """The chain cursor; `first`: the lowest stored block, at which the database was made."""
        ...

    async def due(
        self, now: float, limits: Mapping[str, int], full: Mapping[str, Collection[str]] = NOBODY
    ) -> Sequence[Due]:
        """Duties that could be claimed, see `claim`. A read: does not take the write lock."""
        ...

    async def news(self, limit: int) -> Sequence[News]:
        """New inbox rows, of each class at most `limit`, those that wait longest. A read, no write lock."""
        ...

    async def unfilled_watches(self) -> Sequence[Search]:
        """Watches that the past was not searched for yet, those with the lowest height first."""
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

    async def timer_due(
        self, wall: UnixTime, domain: UnixTime, height: Height, *, median: UnixTime | None = None
    ) -> bool:
        """True when a timer could fire. A read: does not take the write lock."""
        ...

    async def open_duties(self, lane: str) -> Sequence[tuple[str, str, int, str | None]]:
        """(kind, id, attempts, last error) of open and dead duties."""
        ...
