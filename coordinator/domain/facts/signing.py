"""An attempt from its pinned contract to its signatures: batches, approvals, results."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from coordinator.domain.facts.base import AttemptFact
from coordinator_core.units import Height, Sats, UnixTime


class KickOffHeld(AttemptFact, frozen=True, kw_only=True, tag="kick_off_held"):
    """The kick-off check says no for now (fee above the ceiling, too few coins, no outbound liquidity)."""

    repeatable: ClassVar[bool] = True
    reason: str


class Pinned(AttemptFact, frozen=True, kw_only=True, tag="pinned"):
    """Kick-off check passed; contract parameters and coins of the funding are fixed for this attempt."""

    parameters: str
    """Blob name of the contract parameters (JSON)."""
    plan: str
    """Blob name of the funding plan (JSON)."""
    funding_txid: str
    funding_vout: int
    funding_value: Sats
    fee_rate: int
    """Satoshi per 1,000 weight units of the presigned transactions."""
    inputs: tuple[str, ...]
    """Outpoints the funding spends."""
    at_height: Height
    """The chain cursor when the coins were chosen: none of them is spent up to there."""


class Batch(Struct, frozen=True):
    """One signing session at keymeld."""

    session_id: str
    index: int
    items: int
    replaces: str | None = None


class BatchesOpen(AttemptFact, frozen=True, kw_only=True, tag="batches_open"):
    """All batches of the contract are at keymeld, waiting for approvals."""

    batches: tuple[Batch, ...]
    opened_at: UnixTime


class SpareOpen(AttemptFact, frozen=True, kw_only=True, tag="spare_open"):
    """A spare session replaces a batch that hung; it holds exactly the same items."""

    batch: Batch
    opened_at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.batch.session_id}"


class BatchHung(AttemptFact, frozen=True, kw_only=True, tag="batch_hung"):
    """A signing session failed, gave a wrong or missing signature, or did not end in time."""

    session_id: str
    reason: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}"


class Ready(AttemptFact, frozen=True, kw_only=True, tag="ready"):
    """A player's client compared every item of every open batch with the contract it derived itself."""

    entry_id: str
    sessions: tuple[str, ...]
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}/{','.join(sorted(self.sessions))}"


class Approval(AttemptFact, frozen=True, kw_only=True, tag="approval"):
    """A player's approval of one signing session. A later one replaces a stale one."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    session_id: str
    approval: str
    """{user_id, timestamp, signature} as JSON."""
    header: str
    """The X-User-Signature made for the gateway, used once."""
    timestamp: UnixTime
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}"

    @property
    def rank(self) -> int:
        return self.timestamp


class Forwarded(AttemptFact, frozen=True, kw_only=True, tag="forwarded"):
    """The gateway holds a player's approval of a session."""

    entry_id: str
    session_id: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}"


class ApprovalSpent(AttemptFact, frozen=True, kw_only=True, tag="approval_spent"):
    """An approval left with its header, or grew too old to leave, and the gateway does not hold it: the player is
    asked for a fresh one.
    """

    entry_id: str
    session_id: str
    timestamp: UnixTime
    header_used: bool = False
    """The gateway had seen the header before it came from us: the player used it up, and has not approved."""

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}/{self.timestamp}"


class BatchSigned(AttemptFact, frozen=True, kw_only=True, tag="batch_signed"):
    """Every signature of one session was received and verified; the blob holds them."""

    session_id: str
    index: int
    blob: str
    status: str
    """Blob name of the gateway's last status as received, archived for the players."""

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.index}"


class ContractSigned(AttemptFact, frozen=True, kw_only=True, tag="contract_signed"):
    """Every signature of the contract verifies; the blob holds the signed contract."""

    blob: str
    expiry_txid: str
    """The expiry transaction: any player may send it, so a spend of the funding output is compared with it."""
