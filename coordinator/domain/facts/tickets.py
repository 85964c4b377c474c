"""Terms, reservations, signed entries and their hold invoices."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from coordinator.domain.facts.base import Fact
from coordinator_core.units import Height, Sats, UnixTime


class Drafted(Fact, frozen=True, kw_only=True, tag="drafted"):
    """What the operator asked for; oracle key, lines and funding deadline are still to come."""

    draft: str
    """The draft as JSON."""
    event_ids: tuple[str, ...]
    """Nine UUIDs for events 0 to 8 at the oracle."""
    closes_at: UnixTime


class Published(Fact, frozen=True, kw_only=True, tag="published"):
    """The final terms: immutable from here on."""

    terms: str
    terms_hash: str


class Ticket(Fact, frozen=True, kw_only=True, tag="ticket"):
    """A reservation. Renewal replaces it with the next generation: same entry id, new hash, new price, new receipt."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    player: str
    """x-only Nostr key of the player, hex."""
    generation: int
    ticket_hash: str
    entry_fee: Sats
    coordinator_fee: Sats
    network_fee: Sats
    reserved_at: UnixTime
    receipt: str
    """The signed reservation receipt as JSON."""

    @property
    def key(self) -> str:
        return self.entry_id

    @property
    def rank(self) -> int:
        return self.generation

    @property
    def price(self) -> Sats:
        """What the invoice asks for."""
        return Sats(self.entry_fee + self.coordinator_fee + self.network_fee)


class Entry(Fact, frozen=True, kw_only=True, tag="entry"):
    """A signed entry, for one generation of its ticket."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    generation: int
    ticket_hash: str
    entry_keys: tuple[str, ...]
    """Eight compressed keys, hex: key i signs in attempt i."""
    payout_hash: str
    slot_key: str
    commitment: str
    signed_event: str

    @property
    def key(self) -> str:
        return self.entry_id

    @property
    def rank(self) -> int:
        return self.generation


class HoldState(StrEnum):
    """States of a hold invoice."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


_HOLD_ORDER = (HoldState.OPEN, HoldState.ACCEPTED, HoldState.CANCELED, HoldState.SETTLED)


class Invoice(Fact, frozen=True, kw_only=True, tag="invoice"):
    """A ticket's hold invoice as the Lightning node shows it. Judged by `state` alone."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    generation: int
    payment_hash: str
    payment_request: str
    value: Sats
    state: HoldState
    expires_at: UnixTime
    accepted_at: UnixTime | None = None
    """When we first saw ACCEPTED; orders the seats."""
    expiry_height: Height | None = None
    """Least expiry height over the accepted HTLCs."""

    @property
    def key(self) -> str:
        return self.payment_hash

    @property
    def rank(self) -> int:
        """Several duties look at one invoice: what one of them saw before another settled it may be written after."""
        return _HOLD_ORDER.index(self.state)
