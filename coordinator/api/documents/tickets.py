"""Tickets: bodies and answers."""

from __future__ import annotations

from msgspec import Struct

from coordinator.api.documents.common import EntryId, Satoshi, Time
from coordinator_core.competition.documents import Hex32
from coordinator_core.nostr.event import Event


class HandIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The signed entry of the ticket's present generation."""

    event: Event


class Reservation(Struct, forbid_unknown_fields=True):
    """A ticket, reserved or renewed; the receipt is signed by the key of the terms."""

    entry_id: EntryId
    generation: int
    receipt: Event


class EntryTaken(Struct, forbid_unknown_fields=True):
    """The entry was stored, the invoice is being made: hand the same entry in again after `retry_after` seconds."""

    entry_receipt: Event
    payment_hash: Hex32
    retry_after: int


class Invoiced(Struct, forbid_unknown_fields=True):
    """The entry was stored; pay this hold invoice."""

    entry_receipt: Event
    payment_hash: Hex32
    payment_request: str
    expires_at: Time
    state: str


class Price(Struct, forbid_unknown_fields=True):
    """The three lines of a ticket's price."""

    entry_fee: Satoshi
    coordinator_fee: Satoshi
    network_fee: Satoshi


class Debt(Struct, forbid_unknown_fields=True):
    """What the coordinator owes the owner of an entry besides its prize, since then (wall clock)."""

    reason: str
    amount: Satoshi
    since: Time
    receipt: Event
    """Signed by the key of the terms."""


class TicketView(Struct, forbid_unknown_fields=True):
    """One's own ticket."""

    entry_id: EntryId
    generation: int
    ticket_hash: Hex32
    ticket_state: str
    """"reserved" before there is an invoice, then the state of the hold invoice."""
    payment_request: str | None
    expires_at: Time | None
    seat: bool
    in_roster: bool
    price: Price
    debts: list[Debt]
    """A ticket that was settled although no contract came about."""


class TicketPreimage(Struct, forbid_unknown_fields=True):
    """The proof of payment that claims need."""

    payment_hash: Hex32
    preimage: Hex32


class Kit(Struct):
    """The claim kit. `coordinator claim` reads it as it is."""

    version: int
    entry_id: EntryId
    attempt: int
