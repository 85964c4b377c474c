"""The receipt of a reservation: given before anything is paid (money section 3)."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.fees import PriceLines, check_price
from coordinator_core.competition.observation import Date
from coordinator_core.competition.signed import RESERVATION_KIND, open_document, sign_document
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.binding import check_bound, coordinator_key
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import Height, UnixTime


class ReservationReceipt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The coordinator funds a contract with this ticket by F, or cancels its payment."""

    type: Literal["reservation/v1"]
    terms_hash: Hex32
    entry_id: UUID
    player: Hex32
    ticket_hash: Hex32
    price: PriceLines
    funding_deadline: Annotated[Height, Meta(ge=1, lt=500_000_000)]
    entries_close: Date
    promise: Literal["fund or cancel"]


def sign_reservation(
    coordinator: SecretKey,
    terms: Terms,
    *,
    entry_id: UUID,
    player: bytes,
    ticket_hash: bytes,
    price: PriceLines,
    created_at: UnixTime,
) -> Event:
    """The receipt of a reservation; `player` is an x-only key. Raises Refused for a price that breaks
    the terms.
    """
    check_price(terms, price)
    receipt = ReservationReceipt(
        type="reservation/v1",
        terms_hash=terms.hash.hex(),
        entry_id=entry_id,
        player=player.hex(),
        ticket_hash=ticket_hash.hex(),
        price=price,
        funding_deadline=terms.schedule.funding_deadline,
        entries_close=terms.schedule.entries_close,
        promise="fund or cancel",
    )
    return sign_document(coordinator, RESERVATION_KIND, receipt, created_at)


def verify_reservation(event: Event, terms: Terms, player: bytes) -> ReservationReceipt:
    """The receipt, once the terms' coordinator signed it for this player and it repeats the terms.

    Raises InvalidInput, Refused (price), VerificationFailed or InvalidSignature, at the coordinator's fault.
    """
    receipt = open_document(
        event, RESERVATION_KIND, ReservationReceipt, coordinator_key(terms), "receipt", Fault.COORDINATOR
    )
    check_bound(
        (
            ("terms_hash", receipt.terms_hash, terms.hash.hex()),
            ("player", receipt.player, player.hex()),
            ("funding_deadline", receipt.funding_deadline, terms.schedule.funding_deadline),
            ("entries_close", receipt.entries_close, terms.schedule.entries_close),
        )
    )
    check_price(terms, receipt.price)
    return receipt
