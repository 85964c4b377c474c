"""The one database as the engine sees it: short write transactions, facts, duties with leases and fences.

A `Transaction` is one atomic write. Nothing outside may be called while one is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from msgspec import Struct

from coordinator.domain.facts import Fact, FactBook
from coordinator.domain.lane import SpendSeen
from coordinator.ports.alerts import AlertReads, AlertWrites
from coordinator.ports.bitcoin import Block
from coordinator.ports.measuring import MeasuringReads
from coordinator.ports.operating import OperatorReads, OperatorWrites
from coordinator_core.units import Height, UnixTime

F = TypeVar("F", bound=Fact)


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


class InboxRow(Struct, frozen=True):
    """Something happened in a lane; the facts were written with it."""

    seq: int
    lane: str
    kind: str


class TransitionRow(Struct, frozen=True):
    """One line of the transition log."""

    seq: int
    from_state: str
    to_state: str
    reason: str
    at: UnixTime


class Watch(Struct, frozen=True, order=True):
    """Something to look for in blocks: a transaction ("t", txid) or the spend of an outpoint ("o", "txid:vout")."""

    keytype: str
    key: str


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


class Transaction(AlertWrites, OperatorWrites, Protocol):
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
        """Upsert facts; True when anything changed. A fact that is not repeatable stays as first written."""
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

    async def set_wake(self, lane: str, wake: Wake) -> None:
        """Replace the lane's timers."""
        ...

    async def set_watches(self, lane: str, watches: Sequence[Watch]) -> None:
        """Add watches; known ones stay."""
        ...

    async def claim(self, now: float, lease: float, owner: str, limits: Mapping[str, int]) -> Sequence[DutyRow]:
        """Lease due duties, at most `limits` for each channel; fence and attempts go up by one. Of a stopped lane only
        those that are protective.
        """
        ...

    async def end_leases(self, now: float) -> None:
        """What a process that ended had leased is due at once. Only for one that is alone on its database."""
        ...

    async def complete(self, row: DutyRow, status: str, due_at: float, error: str | None, now: float) -> bool:
        """Write an attempt's outcome. False when the fence is stale: then nothing changes."""
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

    async def fire_timers(self, wall: UnixTime, domain: UnixTime, height: Height) -> Sequence[str]:
        """Lanes with a due timer; the timers are removed."""
        ...

    async def add_hits(self, block: BlockHeader, hits: Sequence[Hit]) -> bool:
        """Hits in a stored block. False, and nothing is written, when this block is not stored."""
        ...

    async def mark_backfilled(self, lane: str, watch: Watch) -> None:
        """The past was searched."""
        ...

    async def add_block(self, block: Block) -> None:
        """Move the cursor one block on."""
        ...

    async def drop_tip(self) -> Sequence[str]:
        """Roll the cursor one block back; the lanes that lost a hit."""
        ...


class Store(AlertReads, MeasuringReads, OperatorReads, Protocol):
    """The database."""

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """One write transaction at a time; commits on success, rolls back on any exception."""
        ...

    async def lane(self, lane: str) -> LaneRecord | None:
        """A competition as of now, read only."""
        ...

    async def lanes(self) -> Sequence[str]:
        """All competitions, newest first."""
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

    async def watched(self) -> Mapping[Watch, frozenset[str]]:
        """Every watch with the lanes that want it."""
        ...

    async def duty_due(self, now: float) -> bool:
        """True when a duty could be claimed. A read: does not take the write lock."""
        ...

    async def next_lane(self, *, oldest: bool) -> str | None:
        """The lane with the most urgent new inbox row (`oldest`: the longest waiting one). A read, no write lock."""
        ...

    async def unfilled_watches(self) -> Sequence[tuple[str, Watch]]:
        """Watches that the past was not searched for yet."""
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

    async def timer_due(self, wall: UnixTime, domain: UnixTime, height: Height) -> bool:
        """True when a timer could fire. A read: does not take the write lock."""
        ...

    async def open_duties(self, lane: str) -> Sequence[tuple[str, str, int, str | None]]:
        """(kind, id, attempts, last error) of open and dead duties."""
        ...
