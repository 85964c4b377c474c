"""What the coordinator owes outside of a contract: money that it took and has to pay back (money section 6)."""

from __future__ import annotations

from coordinator.domain.facts.base import Fact
from coordinator_core.receipts.debt import DebtReason
from coordinator_core.units import Sats, UnixTime


class Owed(Fact, frozen=True, kw_only=True, tag="owed"):
    """A debt to the owner of an entry: a liability until it is paid. A prize that is owed follows from the chain."""

    reason: DebtReason
    entry_id: str
    payment_hash: str
    """Of the invoice that brought the money in."""
    amount: Sats
    since: UnixTime
    """Wall clock."""
    receipt: str
    """The signed debt receipt as JSON."""

    @property
    def key(self) -> str:
        return f"{self.reason.value}/{self.payment_hash}"
