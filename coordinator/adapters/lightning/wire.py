"""LND's REST answers as they are: 64-bit integers are strings, bytes are base64, zero values may be absent."""

from __future__ import annotations

import base64
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import FailureKind, InvoiceState, PaymentState
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.transaction import bytes_from_hex

T = TypeVar("T")

Int64 = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]
"""A 64-bit integer as proto3 writes it. What we read is never negative."""


class ChainWire(Struct):
    """An entry of getinfo's `chains`."""

    network: str = ""


class InfoWire(Struct):
    """GET /v1/getinfo."""

    version: str = ""
    identity_pubkey: str = ""
    block_height: int = 0
    synced_to_chain: bool = False
    chains: list[ChainWire] = []


class ConstraintsWire(Struct):
    """What one side of a channel must keep."""

    chan_reserve_sat: Int64 = "0"


class PendingHtlcWire(Struct):
    """An HTLC of a channel that is neither settled nor failed. Satoshi, rounded down."""

    incoming: bool = False
    amount: Int64 = "0"


class ChannelWire(Struct):
    """One open channel. The payer's balance leaves out what an HTLC holds, the payee's does not have it yet."""

    active: bool = False
    local_balance: Int64 = "0"
    remote_balance: Int64 = "0"
    pending_htlcs: list[PendingHtlcWire] = []
    local_constraints: ConstraintsWire | None = None
    remote_constraints: ConstraintsWire | None = None


class ChannelsWire(Struct):
    """GET /v1/channels."""

    channels: list[ChannelWire] = []


class HtlcWire(Struct):
    """One HTLC of an invoice. ACCEPTED is the enum's zero value: what an absent member means."""

    state: str = "ACCEPTED"
    expiry_height: int = 0


class InvoiceWire(Struct):
    """GET /v2/invoices/lookup and the single-invoice stream."""

    r_hash: str = ""
    payment_request: str = ""
    description_hash: str = ""
    state: InvoiceState = InvoiceState.OPEN
    value_msat: Int64 = "0"
    creation_date: Int64 = "0"
    expiry: Int64 = "0"
    cltv_expiry: Int64 = "0"
    htlcs: list[HtlcWire] | None = None


class PaymentWire(Struct):
    """One payment of the router's streams and of the payment list. Hash and preimage are hex here."""

    payment_hash: str = ""
    status: str = "UNKNOWN"
    value_msat: Int64 = "0"
    creation_time_ns: Int64 = "0"
    payment_preimage: str = ""
    fee_msat: Int64 = "0"
    failure_reason: str = "FAILURE_REASON_NONE"


class PaymentsWire(Struct):
    """GET /v1/payments: a page in ascending order."""

    payments: list[PaymentWire] = []
    first_index_offset: Int64 = "0"


class InvoicesWire(Struct):
    """GET /v1/invoices: a page in ascending order."""

    invoices: list[InvoiceWire] = []
    first_index_offset: Int64 = "0"


class ErrorWire(Struct):
    """The body of a refusal."""

    code: int = 2
    message: str = ""


class Line(Struct, Generic[T]):
    """One line of a stream."""

    result: T | None = None
    error: ErrorWire | None = None


PAYMENT_STATES = {
    "IN_FLIGHT": PaymentState.IN_FLIGHT,
    "INITIATED": PaymentState.IN_FLIGHT,
    "SUCCEEDED": PaymentState.SUCCEEDED,
    "FAILED": PaymentState.FAILED,
}

FAILURES = {
    "FAILURE_REASON_TIMEOUT": FailureKind.TIMEOUT,
    "FAILURE_REASON_NO_ROUTE": FailureKind.NO_ROUTE,
    "FAILURE_REASON_INSUFFICIENT_BALANCE": FailureKind.INSUFFICIENT_BALANCE,
    "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS": FailureKind.PAYEE_REJECTS,
}
"""Reasons that are not here are errors of the node: never final."""


def hash_bytes(payment_hash: str) -> bytes:
    """The 32 bytes of a payment hash in hex. Raises InvalidInput."""
    return bytes_from_hex(payment_hash, 32, "payment_hash")


def to_base64(payment_hash: str) -> str:
    """URL-safe base64 with padding: the one form that LND takes in bodies, queries and paths alike."""
    return base64.urlsafe_b64encode(hash_bytes(payment_hash)).decode()


def standard_base64(data: bytes) -> str:
    """Base64 as LND writes bytes in bodies. Comparing in this form never has to decode what came in."""
    return base64.b64encode(data).decode()


def hex_of(data: str) -> str:
    """Bytes of an answer, in base64, as hex. Raises Unreachable for anything else."""
    try:
        return base64.b64decode(data, validate=True).hex()
    except ValueError as error:
        raise Unreachable("lightning", "an answer with bytes that are no base64", fault=Fault.LIGHTNING) from error


def check_sum(value: int, field: str, least: int) -> None:
    """A number that is sent must not turn into LND's "no limit" or "default". Raises InvalidInput."""
    if value < least:
        raise InvalidInput(field, f"{value} is too small", f"at least {least}")
