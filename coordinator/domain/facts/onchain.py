"""What was sent, decided and attested once a contract exists."""

from __future__ import annotations

from enum import StrEnum

from coordinator.domain.facts.base import AttemptFact, Fact
from coordinator_core.units import Height, Sats, UnixTime


class CoinsReleased(AttemptFact, frozen=True, kw_only=True, tag="coins_released"):
    """The coins an ended attempt had reserved are free again: its funding was never signed, or can never confirm."""


class Built(AttemptFact, frozen=True, kw_only=True, tag="built"):
    """The transaction of a role is pinned; it leaves only after this is written, so what confirms is known as ours."""

    role: str
    txid: str
    spends: str
    """Outpoint of its first input, "txid:vout"; unconfirmed while nothing in the chain spends it."""
    at: UnixTime
    """Domain clock: half an hour after it a transaction that is still unconfirmed is bumped."""

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class BelowFloor(AttemptFact, frozen=True, kw_only=True, tag="below_floor"):
    """The node refused the transaction of a role for its fee: nobody hears of it before it is bumped."""

    role: str

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class BumpKind(StrEnum):
    """How a transaction is made to pay more."""

    CHILD = "child"
    """A child spends its anchor or an output of ours, and pays for both."""
    REPLACEMENT = "replacement"
    """We alone signed it: it is signed again with a higher fee."""


class Bumped(AttemptFact, frozen=True, kw_only=True, tag="bumped"):
    """A fee bump of the transaction of a role is pinned; it leaves only after this is written."""

    role: str
    number: int
    """From 1 on; each takes the place of the one before."""
    bump: BumpKind
    txid: str
    fee: Sats
    """Of the child, or of the whole replacement."""
    spends: str
    """The outpoint that the bumped transaction spends: settled once a spend of it is deep enough."""
    coins: tuple[str, ...] = ()
    """Coins of the wallet that a child spends for its fee."""

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}/{self.number}"


class FeeCoinsReleased(AttemptFact, frozen=True, kw_only=True, tag="fee_coins_released"):
    """The coins reserved for the bumps of a role are the wallet's again."""

    role: str

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
    txid: str
    """Of the outcome transaction that it opens: a spend of the funding output is compared with it."""
