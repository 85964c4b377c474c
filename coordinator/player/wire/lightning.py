"""Answers of the player's own LND over REST; 64-bit numbers are strings there."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from coordinator.player.wire.members import PaymentRequest, Text
from coordinator_core.competition.documents import Hex32

Number = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,17})\Z")]


class Value(Struct, frozen=True):
    """An amount in satoshi."""

    sat: Number


class ChannelBalance(Struct, frozen=True):
    """GET balance/channels."""

    local_balance: Value


class Payment(Struct, frozen=True):
    """A payment of ours; the preimage is all zeros until it succeeded."""

    payment_hash: Hex32
    status: Text
    payment_preimage: Hex32
    failure_reason: Text | None = None


class Payments(Struct, frozen=True):
    """GET payments."""

    payments: tuple[Payment, ...] = ()


class InvoiceMade(Struct, frozen=True):
    """POST invoices."""

    payment_request: PaymentRequest


class Invoice(Struct, frozen=True):
    """GET invoice/{payment hash}."""

    state: Text
