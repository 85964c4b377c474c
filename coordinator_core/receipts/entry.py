"""The receipt of a signed entry."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.entries import Entry
from coordinator_core.competition.signed import ENTRY_RECEIPT_KIND, open_document, sign_document
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.binding import check_bound, coordinator_key
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime


class EntryReceipt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The coordinator has this signed entry, by the id of its event."""

    type: Literal["entry-receipt/v1"]
    terms_hash: Hex32
    entry_id: UUID
    player: Hex32
    ticket_hash: Hex32
    entry_event: Hex32


def sign_entry_receipt(coordinator: SecretKey, entry: Entry, created_at: UnixTime) -> Event:
    """The receipt of a signed entry."""
    receipt = EntryReceipt(
        type="entry-receipt/v1",
        terms_hash=entry.document.terms_hash,
        entry_id=entry.id,
        player=entry.player.hex(),
        ticket_hash=entry.document.ticket_hash,
        entry_event=entry.event.id,
    )
    return sign_document(coordinator, ENTRY_RECEIPT_KIND, receipt, created_at)


def verify_entry_receipt(event: Event, terms: Terms, entry: Entry) -> EntryReceipt:
    """The receipt of exactly this entry. Raises as verify_reservation."""
    receipt = open_document(
        event, ENTRY_RECEIPT_KIND, EntryReceipt, coordinator_key(terms), "receipt", Fault.COORDINATOR
    )
    check_bound(
        (
            ("terms_hash", receipt.terms_hash, terms.hash.hex()),
            ("entry_id", receipt.entry_id, entry.id),
            ("player", receipt.player, entry.player.hex()),
            ("ticket_hash", receipt.ticket_hash, entry.document.ticket_hash),
            ("entry_event", receipt.entry_event, entry.event.id),
        )
    )
    return receipt
