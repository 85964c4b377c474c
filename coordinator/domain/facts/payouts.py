"""Prizes over Lightning: payments asked for, preimages and keys that we hold."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from coordinator.domain.facts.base import Fact
from coordinator_core.units import Sats, UnixTime


class PrizeState(StrEnum):
    """States of a prize (money rules of payouts)."""

    CLAIMABLE = "CLAIMABLE"
    PAYING = "PAYING"
    PAID = "PAID"
    UNKNOWN = "UNKNOWN"
    ONCHAIN = "ONCHAIN"
    CLAIMED = "CLAIMED"
    OWED = "OWED"
    LAPSED = "LAPSED"
    VOID = "VOID"
    UNECONOMIC = "UNECONOMIC"
    """Unpaid, and our reclaim would cost more than the share holds: it stays the winner's, and no debt."""


class Payout(Fact, frozen=True, kw_only=True, tag="payout"):
    """A payment a winner asked for: the row is here before the payment leaves. One live payout an entry."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    payment_hash: str
    payment_request: str
    amount: Sats
    atomic: bool
    """True when the payment hash is the entry's payout hash: paying reveals the payout preimage."""
    state: PrizeState
    tries: int = 0
    expires_at: UnixTime = UnixTime(0)
    routing_fee: Sats = Sats(0)
    failure: str | None = None
    next_try: UnixTime = UnixTime(0)

    @property
    def key(self) -> str:
        return self.entry_id

    @property
    def rank(self) -> int:
        """What was paid is paid; before that a failed payment may be followed by another."""
        return int(self.state is PrizeState.PAID)


class PreimageHeld(Fact, frozen=True, kw_only=True, tag="preimage_held"):
    """The payout preimage of an entry is in the secret store: by an atomic payment, or handed over first."""

    entry_id: str

    @property
    def key(self) -> str:
        return self.entry_id


class EntryKeyHeld(Fact, frozen=True, kw_only=True, tag="entry_key_held"):
    """A paid winner gave its entry key of the contract's attempt, so outputs can be closed together."""

    entry_id: str

    @property
    def key(self) -> str:
        return self.entry_id
