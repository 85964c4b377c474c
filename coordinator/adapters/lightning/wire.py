"""LND's REST answers as they are: 64-bit integers are strings, bytes are base64, zero values may be absent."""

from __future__ import annotations

import base64
import binascii

from msgspec import Struct

from coordinator.ports.lightning import FailureKind, PaymentState
from coordinator_core.errors import InvalidInput


class ChainWire(Struct, frozen=True):
    """An entry of getinfo's `chains`."""

    network: str = ""


class InfoWire(Struct, frozen=True):
    """GET /v1/getinfo."""

    version: str = ""
    identity_pubkey: str = ""
    block_height: int = 0
    synced_to_chain: bool = False
    chains: list[ChainWire] = []


class AmountWire(Struct, frozen=True):
    """A sum in satoshi and millisatoshi."""

    sat: str = "0"


class BalanceWire(Struct, frozen=True):
    """GET /v1/balance/channels."""

    local_balance: AmountWire = AmountWire()
    remote_balance: AmountWire = AmountWire()


class HtlcWire(Struct, frozen=True):
    """One HTLC of an invoice."""

    state: str = ""
    expiry_height: int = 0


class InvoiceWire(Struct, frozen=True):
    """GET /v2/invoices/lookup and the single-invoice stream."""

    r_hash: str = ""
    payment_request: str = ""
    state: str = "OPEN"
    value: str = "0"
    creation_date: str = "0"
    expiry: str = "3600"
    htlcs: list[HtlcWire] = []


class PaymentWire(Struct, frozen=True):
    """One payment of the router's streams and of the payment list."""

    payment_hash: str = ""
    status: str = "UNKNOWN"
    payment_preimage: str = ""
    fee_sat: str = "0"
    failure_reason: str = "FAILURE_REASON_NONE"


class ErrorWire(Struct, frozen=True):
    """The body of a refusal."""

    code: int = 2
    message: str = ""


class StreamLine(Struct, frozen=True):
    """One line of a payment stream."""

    result: PaymentWire | None = None
    error: ErrorWire | None = None


class InvoiceLine(Struct, frozen=True):
    """One line of an invoice stream."""

    result: InvoiceWire | None = None
    error: ErrorWire | None = None


class PaymentsWire(Struct, frozen=True):
    """GET /v1/payments."""

    payments: list[PaymentWire] = []


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
    "FAILURE_REASON_ERROR": FailureKind.ERROR,
    "FAILURE_REASON_CANCELED": FailureKind.ERROR,
}


def to_base64(payment_hash: str) -> str:
    """Hex to URL-safe base64 with padding: the one form that LND takes in bodies, queries and paths alike."""
    try:
        raw = bytes.fromhex(payment_hash)
    except ValueError:
        raise InvalidInput("payment hash", "not hex", "64 hex digits") from None
    if len(raw) != 32:
        raise InvalidInput("payment hash", f"{len(raw)} bytes long", "32 bytes")
    return base64.urlsafe_b64encode(raw).decode()


def to_hex(value: str) -> str:
    """Base64, standard or URL-safe, to hex."""
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True).hex()
    except (binascii.Error, ValueError):
        raise InvalidInput("base64", "not base64", "an answer of LND") from None
