"""What was sent, decided and attested once a contract exists."""

from __future__ import annotations

from coordinator.domain.facts.base import AttemptFact, Fact
from coordinator_core.units import Height


class CoinsReleased(AttemptFact, frozen=True, kw_only=True, tag="coins_released"):
    """The coins an ended attempt had reserved are free again, or stay reserved because its funding was signed."""


class Built(AttemptFact, frozen=True, kw_only=True, tag="built"):
    """The transaction of a role is pinned; it leaves only after this is written, so what confirms is known as ours."""

    role: str
    txid: str

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class HoldsDecided(AttemptFact, frozen=True, kw_only=True, tag="holds_decided"):
    """Holds ran short before the funding confirmed: settled because our node held the funding then, or all canceled."""

    settle: bool
    at_height: Height


class Sent(Fact, frozen=True, kw_only=True, tag="sent"):
    """The node has a transaction of this role: funding, outcome, expiry, split, close, reclaim, sweep:..."""

    role: str
    txid: str

    @property
    def key(self) -> str:
        return self.role


class Attested(Fact, frozen=True, kw_only=True, tag="attested"):
    """A scalar that opens the locking point of an outcome of this contract. Public once it is here."""

    outcome: int
    attestation: str
