"""Invoice routes: add, look up, subscribe, settle, cancel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Final

from coordinator.embedded.lightning import base64url, schemas
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.events import InvoiceEvent, invoice_topic
from coordinator.embedded.lightning.http import Call, Endpoint, Json
from coordinator.embedded.lightning.invoices import NO_INVOICE_YET, InvoiceOrder
from coordinator.embedded.lightning.model import Invoice, InvoiceState
from coordinator.embedded.lightning.protojson import Message
from coordinator.embedded.lightning.views import invoice_view

_MAX_VALUE_SAT: Final = 21_000_000 * 100_000_000
_DEFAULT_LISTED: Final = 100
_ENDED: Final = (InvoiceState.SETTLED, InvoiceState.CANCELED)


async def add_hold_invoice(call: Call) -> Json:
    """POST /v2/invoices/hodl."""
    payment_hash: bytes = call.body.get("hash", b"")
    if len(payment_hash) != 32:
        raise LndError(f"invalid hash length of {len(payment_hash)}, want 32")
    invoice = call.network.add_invoice(call.alias, _order(call.body, payment_hash=payment_hash))
    return {
        "payment_request": invoice.payment_request,
        "add_index": str(invoice.add_index),
        "payment_addr": base64url.encode(invoice.payment_addr),
    }


async def add_invoice(call: Call) -> Json:
    """POST /v1/invoices."""
    invoice = call.network.add_invoice(call.alias, _order(call.body, preimage=call.body.get("r_preimage", b"")))
    return {
        "r_hash": base64url.encode(invoice.payment_hash),
        "payment_request": invoice.payment_request,
        "add_index": str(invoice.add_index),
        "payment_addr": base64url.encode(invoice.payment_addr),
    }


def _order(body: Message, *, payment_hash: bytes = b"", preimage: bytes = b"") -> InvoiceOrder:
    value, value_msat = body.get("value", 0), body.get("value_msat", 0)
    if value and value_msat:
        raise LndError("sat and msat arguments are mutually exclusive")
    if value > _MAX_VALUE_SAT or value_msat > _MAX_VALUE_SAT * MSAT:
        raise LndError("amount is more than there is")
    return InvoiceOrder(
        value_msat=value_msat or value * MSAT,
        payment_hash=payment_hash,
        preimage=preimage,
        memo=body.get("memo", ""),
        description_hash=body.get("description_hash", b""),
        expiry=body.get("expiry", 0),
        cltv_expiry=body.get("cltv_expiry", 0),
        private=body.get("private", False),
    )


async def lookup_invoice(call: Call) -> Json:
    """GET /v2/invoices/lookup?payment_hash=."""
    text = call.query.get("payment_hash")
    if not text:
        raise LndError("invoice ref must be set", Code.INVALID_ARGUMENT)
    try:
        payment_hash = base64url.decode_parameter(text)
    except LndError as error:
        raise LndError(f'parsing field "payment_hash": {error.message}', Code.INVALID_ARGUMENT) from error
    if len(payment_hash) != 32:
        raise LndError(
            f"unable to parse pay hash: invalid hash length of {len(payment_hash)}, want 32", Code.INVALID_ARGUMENT
        )
    try:
        return invoice_view(call.network.find_invoice(call.alias, payment_hash))
    except LndError as error:
        if error.message != NO_INVOICE_YET:
            raise
        # This call alone forgets the code.
        raise LndError(error.message) from error


async def list_invoices(call: Call) -> Json:
    """GET /v1/invoices: oldest first unless `reversed`; `num_max_invoices` of them, 100 without a number."""
    offset, limit = _number(call, "index_offset"), _number(call, "num_max_invoices") or _DEFAULT_LISTED
    listed = call.network.invoices(call.alias)
    if call.query.get("pending_only") == "true":
        listed = [invoice for invoice in listed if invoice.state not in _ENDED]
    if call.query.get("reversed") == "true":
        chosen = [invoice for invoice in listed if not offset or invoice.add_index < offset][-limit:]
    else:
        chosen = [invoice for invoice in listed if invoice.add_index > offset][:limit]
    return {
        "invoices": [invoice_view(invoice) for invoice in chosen],
        "first_index_offset": str(chosen[0].add_index if chosen else 0),
        "last_index_offset": str(chosen[-1].add_index if chosen else 0),
    }


def _number(call: Call, name: str) -> int:
    text = call.query.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise LndError(f'parsing field "{name}": invalid number', Code.INVALID_ARGUMENT)
    return int(text)


async def lookup_invoice_by_hex(call: Call) -> Json:
    """GET /v1/invoice/{r_hash_str}."""
    try:
        payment_hash = bytes.fromhex(call.parameters[0])
    except ValueError as error:
        raise LndError("encoding/hex: invalid byte") from error
    if len(payment_hash) != 32:
        raise LndError(f"payment hash must be exactly 32 bytes, is instead {len(payment_hash)}")
    return invoice_view(call.network.find_invoice(call.alias, payment_hash))


async def settle_invoice(call: Call) -> Json:
    """POST /v2/invoices/settle."""
    preimage: bytes = call.body.get("preimage", b"")
    if len(preimage) != 32:
        raise LndError(f"invalid preimage length of {len(preimage)}, want 32")
    call.network.settle_invoice(call.alias, preimage)
    return {}


async def cancel_invoice(call: Call) -> Json:
    """POST /v2/invoices/cancel."""
    payment_hash: bytes = call.body.get("payment_hash", b"")
    if len(payment_hash) != 32:
        raise LndError(f"invalid hash length of {len(payment_hash)}, want 32")
    call.network.cancel_invoice(call.alias, payment_hash)
    return {}


async def subscribe_invoice(call: Call) -> AsyncGenerator[Json]:
    """GET /v2/invoices/subscribe/{r_hash}: the present state first, silence while the hash is unknown."""
    payment_hash = hash_parameter(call)
    with call.network.bus.subscription(invoice_topic(call.alias, payment_hash)) as queue:
        invoice = _present(call, payment_hash)
        while True:
            if invoice is None:
                event = await queue.get()
                invoice = event.invoice if isinstance(event, InvoiceEvent) else None
                continue
            yield invoice_view(invoice)
            if invoice.state in _ENDED:
                return
            invoice = None


def _present(call: Call, payment_hash: bytes) -> Invoice | None:
    try:
        return call.network.find_invoice(call.alias, payment_hash)
    except LndError as error:
        if error.grpc_code is not Code.NOT_FOUND:
            raise
        return None


def check_hash_parameter(name: str) -> Callable[[tuple[str, ...]], None]:
    """A check that refuses what is no base64 before the stream begins."""

    def check(parameters: tuple[str, ...]) -> None:
        try:
            base64url.decode_parameter(parameters[0])
        except LndError as error:
            raise LndError(
                f"type mismatch, parameter: {name}, error: {error.message}", Code.INVALID_ARGUMENT
            ) from error

    return check


def hash_parameter(call: Call) -> bytes:
    """The 32-byte hash in the path. Raises LndError."""
    payment_hash = base64url.decode_parameter(call.parameters[0])
    if len(payment_hash) != 32:
        raise LndError(f"invalid hash length of {len(payment_hash)}, want 32")
    return payment_hash


_READ = ("invoices", "read")
_WRITE = ("invoices", "write")

ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v2/invoices/hodl",
        _WRITE,
        unary=add_hold_invoice,
        schema=schemas.ADD_HOLD_INVOICE,
        method_name="/invoicesrpc.Invoices/AddHoldInvoice",
    ),
    Endpoint(
        "POST",
        "/v1/invoices",
        _WRITE,
        unary=add_invoice,
        schema=schemas.ADD_INVOICE,
        method_name="/lnrpc.Lightning/AddInvoice",
    ),
    Endpoint(
        "GET", "/v2/invoices/lookup", _READ, unary=lookup_invoice, method_name="/invoicesrpc.Invoices/LookupInvoiceV2"
    ),
    Endpoint("GET", "/v1/invoices", _READ, unary=list_invoices, method_name="/lnrpc.Lightning/ListInvoices"),
    Endpoint("GET", "/v1/invoice/*", _READ, unary=lookup_invoice_by_hex, method_name="/lnrpc.Lightning/LookupInvoice"),
    Endpoint(
        "POST",
        "/v2/invoices/settle",
        _WRITE,
        unary=settle_invoice,
        schema=schemas.SETTLE_INVOICE,
        method_name="/invoicesrpc.Invoices/SettleInvoice",
    ),
    Endpoint(
        "POST",
        "/v2/invoices/cancel",
        _WRITE,
        unary=cancel_invoice,
        schema=schemas.CANCEL_INVOICE,
        method_name="/invoicesrpc.Invoices/CancelInvoice",
    ),
    Endpoint(
        "GET",
        "/v2/invoices/subscribe/*",
        _READ,
        stream=subscribe_invoice,
        check=check_hash_parameter("r_hash"),
        method_name="/invoicesrpc.Invoices/SubscribeSingleInvoice",
    ),
)
