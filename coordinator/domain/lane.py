"""What `advance` and `wanted` look at besides the state: terms, facts, and the world now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from coordinator.domain.facts import FactBook, Invoice, Ticket
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Misuse
from coordinator_core.units import Blocks, Confirmations, Height, UnixTime


class SpendSeen(Struct, frozen=True):
    """A confirmed spend of a watched outpoint."""

    txid: str
    height: Height


class World(Struct, frozen=True, kw_only=True):
    """Time and chain as of this load."""

    wall: UnixTime
    now: UnixTime
    """The domain clock."""
    tip: Height
    median_time_past: UnixTime
    cancel_delta: Blocks = Blocks(18)
    """Blocks before an HTLC's expiry at which Lightning cancels a hold by itself."""
    confirmed: Mapping[str, Height] = {}
    """Height of each watched transaction that is in the chain."""
    spent: Mapping[str, SpendSeen] = {}
    """Confirmed spends of watched outpoints, by "txid:vout"."""

    def confirmations(self, txid: str) -> Confirmations:
        """0 outside the chain, 1 in the tip."""
        height = self.confirmed.get(txid)
        return Confirmations(0 if height is None else max(0, self.tip - height + 1))

    def spend_depth(self, outpoint: str) -> Confirmations:
        """Confirmations of the transaction that spends an outpoint; 0 while it is unspent in the chain."""
        seen = self.spent.get(outpoint)
        return Confirmations(0 if seen is None else max(0, self.tip - seen.height + 1))


@dataclass(frozen=True, slots=True)
class Lane:
    """One competition as loaded. The terms never change: configuration has no say in what follows from them."""

    id: str
    published: Terms | None
    facts: FactBook
    world: World = field(repr=False)
    stopped: bool = False
    """It contradicts itself and waits for an operator."""

    @property
    def terms(self) -> Terms:
        """The published terms. Raises Misuse before they are final: only Created lives without them."""
        if self.published is None:
            raise Misuse(f"competition {self.id} has no published terms yet")
        return self.published

    def invoice_of(self, ticket: Ticket) -> Invoice | None:
        """The invoice of a ticket's present generation."""
        return self.facts.get(Invoice, ticket.ticket_hash)
