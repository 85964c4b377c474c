"""Invoices of all nodes: made, paid part by part, held, settled, canceled, expired.

The rules are LND's: a hash is used once; a hold invoice is ACCEPTED when its parts are complete; settle needs
ACCEPTED; settle and cancel are idempotent and exclude each other; a hold is canceled by the node itself
`CANCEL_DELTA` blocks before its first HTLC expires; parts that stay incomplete are dropped after `MPP_TIMEOUT`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coordinator.embedded.lightning import bolt11
from coordinator.embedded.lightning.clock import Clock
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.forwarding import Forwarder
from coordinator.embedded.lightning.model import (
    Attempt,
    Failure,
    HtlcState,
    Invoice,
    InvoiceHtlc,
    InvoiceState,
    Mode,
    Node,
)
from coordinator.embedded.lightning.state import State, pair_key
from coordinator_core.secp256k1 import SecretKey

CANCEL_DELTA: Final = 18
MPP_TIMEOUT: Final = 120
MIN_CLTV_EXPIRY: Final = 24
DEFAULT_CLTV_EXPIRY: Final = 80
DEFAULT_EXPIRY: Final = 86_400
MAX_EXPIRY: Final = 31_536_000
NO_INVOICE_YET: Final = "there are no existing invoices"
"""What LND says of every hash until it has made its first invoice."""
_MAX_CLTV_EXPIRY: Final = 0xFFFF
_REJECTED: Final = "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
_HELD: Final = HtlcState.ACCEPTED


@dataclass(frozen=True)
class InvoiceOrder:
    """What a new invoice shall be. Zeros mean the defaults; hold invoices have a hash and no preimage."""

    value_msat: int
    payment_hash: bytes = b""
    preimage: bytes = b""
    memo: str = ""
    description_hash: bytes = b""
    expiry: int = 0
    cltv_expiry: int = 0
    private: bool = False

    @property
    def hold(self) -> bool:
        """Made from a hash alone."""
        return bool(self.payment_hash)


class Invoices:
    """The invoices of the network."""

    def __init__(self, state: State, clock: Clock, forwarder: Forwarder, key: Callable[[str], SecretKey]) -> None:
        self._state = state
        self._clock = clock
        self._forwarder = forwarder
        self._key = key

    def add(self, alias: str, order: InvoiceOrder) -> Invoice:
        """A new OPEN invoice. Raises LndError for a hash that was used before and values out of range."""
        preimage = b"" if order.hold else order.preimage or secrets.token_bytes(32)
        payment_hash = order.payment_hash or hashlib.sha256(preimage).digest()
        _check_order(order, payment_hash, preimage)
        if self._state.invoices.peek(pair_key(alias, payment_hash)) is not None:
            raise LndError("invoice with payment hash already exists")
        node = self._state.nodes.take(alias)
        node.last_add_index += 1
        return self._state.invoices.add(self._make(node, order, payment_hash, preimage))

    def _make(self, node: Node, order: InvoiceOrder, payment_hash: bytes, preimage: bytes) -> Invoice:
        payment_addr = secrets.token_bytes(32)
        request = bolt11.PaymentRequest(
            network="bcrt",
            amount_msat=order.value_msat or None,
            timestamp=self._clock.seconds(),
            payment_hash=payment_hash,
            payment_addr=payment_addr,
            payee=node.public_key,
            description=None if order.description_hash else order.memo,
            description_hash=order.description_hash or None,
            expiry=order.expiry or DEFAULT_EXPIRY,
            final_cltv_delta=order.cltv_expiry or DEFAULT_CLTV_EXPIRY,
        )
        invoice = Invoice(
            node=node.alias,
            payment_hash=payment_hash,
            preimage=preimage,
            hold=order.hold,
            value_msat=order.value_msat,
            memo=order.memo,
            description_hash=order.description_hash,
            expiry=request.expiry,
            cltv_expiry=request.final_cltv_delta,
            private=order.private,
            add_index=node.last_add_index,
            created_at=request.timestamp,
            payment_request=bolt11.encode(request, self._key(node.alias)),
            payment_addr=payment_addr,
        )
        self._state.publish_invoice(invoice)
        return invoice

    def find(self, alias: str, payment_hash: bytes) -> Invoice:
        """An invoice, for reading. Raises LndError (code 5), with NO_INVOICE_YET before the node's first one."""
        invoice = self._state.invoices.peek(pair_key(alias, payment_hash))
        if invoice is None:
            node = self._state.nodes.peek(alias)
            first = node is None or not node.last_add_index
            raise LndError(NO_INVOICE_YET if first else "unable to locate invoice", Code.NOT_FOUND)
        return invoice

    def settle(self, alias: str, preimage: bytes) -> None:
        """Settle a held invoice; again is no error. Raises LndError unless it is ACCEPTED or SETTLED."""
        invoice = self._take(alias, hashlib.sha256(preimage).digest())
        if invoice.state is InvoiceState.SETTLED:
            return
        if invoice.state is InvoiceState.CANCELED:
            raise LndError("invoice already canceled")
        if invoice.state is InvoiceState.OPEN:
            raise LndError("invoice still open")
        invoice.preimage = preimage
        self._settle(invoice)

    def cancel(self, alias: str, payment_hash: bytes) -> None:
        """Cancel an invoice that is not settled; again is no error. Raises LndError."""
        invoice = self._take(alias, payment_hash)
        if invoice.state is InvoiceState.SETTLED:
            raise LndError("invoice already settled")
        if invoice.state is not InvoiceState.CANCELED:
            self._cancel(invoice)

    def receive(self, attempt: Attempt) -> None:
        """An attempt reached its payee: hold it, settle with it, or refuse it."""
        alias = attempt.hops[-1].node
        key = pair_key(alias, attempt.payment_hash)
        node = self._state.nodes.peek(alias)
        acceptable = (
            node is not None
            and node.mode is not Mode.FAIL
            and self._state.invoices.peek(key) is not None
            and self._acceptable(self._state.invoices.take(key), attempt)
        )
        if not acceptable:
            self._refuse(attempt, _REJECTED, self._state.tip.height)
            return
        invoice = self._state.invoices.take(key)
        invoice.htlcs.append(self._htlc(attempt))
        if sum(htlc.amount_msat for htlc in _held(invoice)) >= attempt.total_msat:
            self._complete(invoice)

    def tick(self) -> None:
        """Wall clock and height at work: unpaid invoices expire, incomplete parts drop, holds end in time."""
        now, height = self._clock.now(), self._state.tip.height
        for invoice in self._state.live_invoices():
            held = _held(invoice)
            near_expiry = any(htlc.expiry_height - height <= CANCEL_DELTA for htlc in held)
            is_open = invoice.state is InvoiceState.OPEN
            if near_expiry or (is_open and now >= invoice.created_at + invoice.expiry):
                self._cancel(self._take(invoice.node, invoice.payment_hash))
            elif is_open and any(now >= htlc.accept_time + MPP_TIMEOUT for htlc in held):
                self._end_htlcs(self._take(invoice.node, invoice.payment_hash), HtlcState.CANCELED, "MPP_TIMEOUT")

    def _take(self, alias: str, payment_hash: bytes) -> Invoice:
        key = pair_key(alias, payment_hash)
        if self._state.invoices.peek(key) is None:
            raise LndError("unable to locate invoice")
        return self._state.invoices.take(key)

    def _acceptable(self, invoice: Invoice, attempt: Attempt) -> bool:
        least_expiry = self._state.tip.height + invoice.cltv_expiry
        return (
            invoice.state is InvoiceState.OPEN
            and self._clock.now() < invoice.created_at + invoice.expiry
            and attempt.payment_addr == invoice.payment_addr
            and attempt.total_msat >= max(invoice.value_msat, 1)
            and all(htlc.total_msat == attempt.total_msat for htlc in _held(invoice))
            and attempt.hops[-1].expiry_height >= least_expiry
        )

    def _htlc(self, attempt: Attempt) -> InvoiceHtlc:
        return InvoiceHtlc(
            attempt=attempt.key,
            chan_id=attempt.hops[-1].chan_id,
            htlc_index=attempt.htlc_indexes[-1],
            amount_msat=attempt.hops[-1].amount_msat,
            total_msat=attempt.total_msat,
            accept_height=self._state.tip.height,
            accept_time=self._clock.seconds(),
            expiry_height=attempt.hops[-1].expiry_height,
        )

    def _complete(self, invoice: Invoice) -> None:
        invoice.amount_paid_msat = sum(htlc.amount_msat for htlc in _held(invoice))
        if not invoice.hold:
            self._settle(invoice)
            return
        invoice.state = InvoiceState.ACCEPTED
        self._state.publish_invoice(invoice)

    def _settle(self, invoice: Invoice) -> None:
        node = self._state.nodes.take(invoice.node)
        node.last_settle_index += 1
        invoice.settle_index = node.last_settle_index
        invoice.settled_at = self._clock.seconds()
        invoice.state = InvoiceState.SETTLED
        self._end_htlcs(invoice, HtlcState.SETTLED)
        self._state.publish_invoice(invoice)

    def _cancel(self, invoice: Invoice) -> None:
        invoice.state = InvoiceState.CANCELED
        self._end_htlcs(invoice, HtlcState.CANCELED)
        self._state.publish_invoice(invoice)

    def _end_htlcs(self, invoice: Invoice, state: HtlcState, code: str = _REJECTED) -> None:
        for htlc in _held(invoice):
            htlc.state = state
            htlc.resolve_time = self._clock.seconds()
            attempt = self._state.attempts.take(htlc.attempt)
            if state is HtlcState.SETTLED:
                self._forwarder.resolve(attempt, preimage=invoice.preimage)
            else:
                self._refuse(attempt, code, htlc.accept_height)

    def _refuse(self, attempt: Attempt, code: str, height: int) -> None:
        failure = Failure(code, len(attempt.hops), height)
        self._forwarder.resolve(attempt, failure=failure)


def _held(invoice: Invoice) -> list[InvoiceHtlc]:
    return [htlc for htlc in invoice.htlcs if htlc.state is _HELD]


def _check_order(order: InvoiceOrder, payment_hash: bytes, preimage: bytes) -> None:
    rules = (
        (len(payment_hash) == 32, f"invalid hash length of {len(payment_hash)}, want 32"),
        (not preimage or len(preimage) == 32, f"invalid preimage length of {len(preimage)}, want 32"),
        (
            len(order.description_hash) in (0, 32),
            f"description hash is {len(order.description_hash)} bytes, must be 32",
        ),
        (order.value_msat >= 0, "amount cannot be negative"),
        (order.expiry >= 0, "expiry cannot be negative"),
        (order.expiry <= MAX_EXPIRY, _too_long(order.expiry)),
        (
            not order.cltv_expiry or order.cltv_expiry >= MIN_CLTV_EXPIRY,
            f"CLTV delta of {order.cltv_expiry} must be greater than minimum of {MIN_CLTV_EXPIRY}",
        ),
        (order.cltv_expiry <= _MAX_CLTV_EXPIRY, f"CLTV delta of {order.cltv_expiry} is too large"),
    )
    for kept, message in rules:
        if not kept:
            raise LndError(message)


def _too_long(expiry: int) -> str:
    return f"expiry of {_go_float(expiry)} seconds greater than max expiry of {_go_float(MAX_EXPIRY)} seconds"


def _go_float(number: int) -> str:
    """A large number of seconds in the notation of the message: shortest digits, two-digit exponent."""
    mantissa, exponent = f"{float(number):e}".split("e")
    digits = mantissa.rstrip("0").rstrip(".")
    return f"{digits}e+{int(exponent):02d}"
