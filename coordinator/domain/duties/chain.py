"""Transactions, what they pay to be mined, and the coins that are kept for them."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.duties.base import Channel, Duty, OfAttempt, Urgency


class Broadcast(Duty, frozen=True, kw_only=True, tag="chain.broadcast"):
    """Send a transaction of a role and see it in the node. Re-announced until confirmed."""

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    role: str
    attempt: int
    contract: str
    outcome: int | None = None
    entry_id: str | None = None
    parent: str | None = None

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}" if self.role == "funding" else self.role


class Bump(Duty, frozen=True, kw_only=True, tag="chain.bump"):
    """Make a transaction that is wanted in the chain pay what its urgency asks, until it is confirmed. How urgent it is
    follows from the competition as it stands when the duty runs.
    """

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    broadcast: Broadcast

    @property
    def key(self) -> str:
        return f"{self.broadcast.role}/{self.broadcast.attempt}"


class ReleaseFeeCoins(OfAttempt, frozen=True, kw_only=True, tag="wallet.release_fee_coins"):
    """Give the coins back that were reserved for the bumps of a role."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True
    role: str

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class ReleaseCoins(OfAttempt, frozen=True, kw_only=True, tag="wallet.release"):
    """Give the coins back that an ended attempt had reserved."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True
