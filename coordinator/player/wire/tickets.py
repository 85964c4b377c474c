"""Answers about one's own ticket."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from coordinator.player.wire.members import Moment, PaymentRequest, Text
from coordinator_core.competition.documents import Hex32
from coordinator_core.nostr.event import Event


class Renewed(Struct, frozen=True):
    """POST renewal."""

    receipt: Event


class Reserved(Renewed, frozen=True):
    """POST entries."""

    entry_id: UUID


class HandedIn(Struct, frozen=True):
    """PUT entry; without an invoice it is being made."""

    payment_request: PaymentRequest | None = None


class TicketStatus(Struct, frozen=True):
    """GET entry. `expires_at` is the invoice's, if there is one."""

    ticket_state: Text
    expires_at: Moment | None


class SettledTicket(Struct, frozen=True):
    """GET ticket."""

    preimage: Hex32
