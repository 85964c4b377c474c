"""LND over REST. Tested with LND 0.21 (see docs/embedded.md for what the embedded node does not do).

Error texts are no contract: after a refusal the invoice or payment is looked up, and what it is decides.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import msgspec

from coordinator.adapters.http import HttpClient, Reply, TransportError
from coordinator.adapters.lightning import wire
from coordinator.ports.faults import Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import (
    HoldInvoice,
    InvoiceState,
    Liquidity,
    NodeInfo,
    Payment,
    PaymentState,
)
from coordinator_core.errors import Fault
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Height, Sats, Seconds, UnixTime

T = TypeVar("T")

SERVICE = "lightning"
CANCEL_DELTA_SINCE_0_21 = Blocks(18)
CANCEL_DELTA_BEFORE = Blocks(12)
NOT_FOUND = 5
PAYMENT_MARGIN_SECONDS = 15.0
PAYMENT_PAGE = 1_000


class LndNode:
    """See ports.lightning.Lightning."""

    def __init__(self, base_url: str, macaroon: Secret, *, certificate: Path | None = None) -> None:
        """`certificate` pins the node's own TLS certificate; without one the URL must be loopback HTTP."""
        verify: ssl.SSLContext | bool = True
        if certificate is not None:
            verify = ssl.create_default_context(cafile=str(certificate))
        header = Secret(macaroon.reveal().hex().encode())
        self._http = HttpClient(
            SERVICE,
            base_url,
            fault=Fault.LIGHTNING,
            headers={"Grpc-Metadata-macaroon": header},
            verify=verify,
            max_connections=64,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def info(self) -> NodeInfo:
        """See ports.lightning.Lightning."""
        info = self._decode(await self._http.get_with_retries("/v1/getinfo"), wire.InfoWire)
        return NodeInfo(
            version=info.version,
            network=info.chains[0].network if info.chains else "",
            block_height=Height(info.block_height),
            synced_to_chain=info.synced_to_chain,
            public_key=info.identity_pubkey,
            cancel_delta=cancel_delta(info.version),
        )

    async def liquidity(self) -> Liquidity:
        """See ports.lightning.Lightning."""
        balance = self._decode(await self._http.get_with_retries("/v1/balance/channels"), wire.BalanceWire)
        return Liquidity(Sats(int(balance.local_balance.sat)), Sats(int(balance.remote_balance.sat)))

    async def add_hold_invoice(
        self, payment_hash: str, value: Sats, *, description_hash: bytes, expiry: Seconds, cltv_expiry: Blocks
    ) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        body = {
            "hash": wire.to_base64(payment_hash),
            "value": str(value),
            "description_hash": base64.b64encode(description_hash).decode(),
            "expiry": str(expiry),
            "cltv_expiry": str(cltv_expiry),
        }
        reply = await self._http.post("/v2/invoices/hodl", json=body)
        made = await self.invoice(payment_hash)
        if made is None:
            raise self._refusal(reply)
        if made.value != value:
            raise Rejected(SERVICE, "the hash has an invoice over another amount", fault=Fault.COORDINATOR)
        return made

    async def invoice(self, payment_hash: str) -> HoldInvoice | None:
        """See ports.lightning.Lightning."""
        reply = await self._http.get_with_retries(
            "/v2/invoices/lookup", params={"payment_hash": wire.to_base64(payment_hash)}
        )
        if not reply.ok and self._error(reply).code == NOT_FOUND:
            return None
        found = self._decode(reply, wire.InvoiceWire)
        heights = [htlc.expiry_height for htlc in found.htlcs if htlc.state == "ACCEPTED" and htlc.expiry_height]
        return HoldInvoice(
            payment_hash=payment_hash,
            payment_request=found.payment_request,
            state=InvoiceState(found.state),
            value=Sats(int(found.value)),
            expires_at=UnixTime(int(found.creation_date) + int(found.expiry)),
            expiry_height=Height(min(heights)) if heights else None,
        )

    async def invoice_updates(self, payment_hash: str) -> AsyncIterator[InvoiceState]:
        """See ports.lightning.Lightning."""
        path = f"/v2/invoices/subscribe/{wire.to_base64(payment_hash)}"
        async with self._http.stream_lines("GET", path) as lines:
            async for line in lines:
                item = msgspec.json.decode(line, type=wire.InvoiceLine)
                if item.result is not None:
                    yield InvoiceState(item.result.state)

    async def settle(self, preimage: Secret) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        payment_hash = hashlib.sha256(preimage.reveal()).hexdigest()
        body = {"preimage": base64.b64encode(preimage.reveal()).decode()}
        return await self._end_invoice("/v2/invoices/settle", body, payment_hash, InvoiceState.SETTLED)

    async def cancel(self, payment_hash: str) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        body = {"payment_hash": wire.to_base64(payment_hash)}
        return await self._end_invoice("/v2/invoices/cancel", body, payment_hash, InvoiceState.CANCELED)

    async def _end_invoice(
        self, path: str, body: dict[str, str], payment_hash: str, wanted: InvoiceState
    ) -> HoldInvoice:
        reply = await self._http.post(path, json=body)
        now = await self.invoice(payment_hash)
        if now is None:
            raise self._refusal(reply)
        if now.state is not wanted and now.state in (InvoiceState.OPEN, InvoiceState.ACCEPTED):
            raise Unreachable(SERVICE, f"the invoice is still {now.state.value}", fault=Fault.LIGHTNING)
        return now

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> Payment:
        """See ports.lightning.Lightning."""
        body = {
            "payment_request": payment_request,
            "fee_limit_sat": str(fee_limit),
            "timeout_seconds": int(timeout),
            "cltv_limit": int(cltv_limit),
        }
        try:
            async with self._http.stream_lines(
                "POST", "/v2/router/send", json=body, idle=timeout + PAYMENT_MARGIN_SECONDS
            ) as lines:
                found = await _last_payment(lines)
        except TransportError as error:
            raise self._stream_refusal(error) from error
        if found is None:
            raise Unreachable(SERVICE, "the payment stream ended without a word", fault=Fault.LIGHTNING)
        return _payment(found)

    async def payment(self, payment_hash: str) -> Payment:
        """See ports.lightning.Lightning."""
        path = f"/v2/router/track/{wire.to_base64(payment_hash)}"
        try:
            async with self._http.stream_lines("GET", path) as lines:
                found = await _first_payment(lines)
        except TransportError as error:
            if error.refused is not None and self._error(error.refused).code == NOT_FOUND:
                return Payment(payment_hash, PaymentState.NEVER_SENT)
            raise
        return _payment(found) if found is not None else Payment(payment_hash, PaymentState.UNKNOWN)

    async def history_reaches(self, payment_hash: str) -> bool:
        """See ports.lightning.Lightning."""
        reply = await self._http.get_with_retries(
            "/v1/payments", params={"include_incomplete": "true", "max_payments": PAYMENT_PAGE, "reversed": "true"}
        )
        listed = self._decode(reply, wire.PaymentsWire).payments
        return any(payment.payment_hash == payment_hash for payment in listed)

    def _decode(self, reply: Reply, kind: type[T]) -> T:
        if not reply.ok:
            raise self._refusal(reply)
        return reply.decode(kind)

    def _stream_refusal(self, error: TransportError) -> Exception:
        return error if error.refused is None else self._refusal(error.refused)

    def _error(self, reply: Reply) -> wire.ErrorWire:
        """The refusal in a body: bare from unary calls, wrapped in {"error": ...} from streams."""
        try:
            wrapped = msgspec.json.decode(reply.body, type=wire.StreamLine)
            return wrapped.error or msgspec.json.decode(reply.body, type=wire.ErrorWire)
        except msgspec.DecodeError:
            return wire.ErrorWire(code=2, message=f"status {reply.status}")

    def _refusal(self, reply: Reply) -> Exception:
        if reply.is_later:
            return reply.later()
        error = self._error(reply)
        if reply.status == 500 and any(word in error.message for word in ("macaroon", "permission denied")):
            return Unsuitable(SERVICE, "the macaroon does not allow this call", fault=Fault.COORDINATOR)
        if reply.status == 500 and any(word in error.message for word in ("wallet locked", "starting up")):
            return Unreachable(SERVICE, error.message, fault=Fault.LIGHTNING)
        return Rejected(
            SERVICE, error.message or f"status {reply.status}", fault=Fault.LIGHTNING, remote_code=str(error.code)
        )


def cancel_delta(version: str) -> Blocks:
    """Blocks before an HTLC's expiry at which a node of this version cancels a hold by itself."""
    numbers = version.split("-", 1)[0].split(".")
    try:
        known = (int(numbers[0]), int(numbers[1]))
    except (IndexError, ValueError):
        return CANCEL_DELTA_SINCE_0_21
    return CANCEL_DELTA_SINCE_0_21 if known >= (0, 21) else CANCEL_DELTA_BEFORE


def _payment(item: wire.PaymentWire) -> Payment:
    state = wire.PAYMENT_STATES.get(item.status, PaymentState.UNKNOWN)
    return Payment(
        payment_hash=item.payment_hash,
        state=state,
        preimage=item.payment_preimage if state is PaymentState.SUCCEEDED else None,
        fee=Sats(int(item.fee_sat)),
        failure=wire.FAILURES.get(item.failure_reason) if state is PaymentState.FAILED else None,
    )


async def _first_payment(lines: AsyncIterator[bytes]) -> wire.PaymentWire | None:
    async for line in lines:
        item = msgspec.json.decode(line, type=wire.StreamLine)
        if item.error is not None:
            raise Rejected(SERVICE, item.error.message, fault=Fault.LIGHTNING, remote_code=str(item.error.code))
        if item.result is not None:
            return item.result
    return None


async def _last_payment(lines: AsyncIterator[bytes]) -> wire.PaymentWire | None:
    """The last word of a payment stream: SUCCEEDED or FAILED, or what was known when it broke off."""
    last: wire.PaymentWire | None = None
    async for line in lines:
        item = msgspec.json.decode(line, type=wire.StreamLine)
        if item.error is not None:
            raise Rejected(SERVICE, item.error.message, fault=Fault.LIGHTNING, remote_code=str(item.error.code))
        last = item.result or last
        if last is not None and last.status in ("SUCCEEDED", "FAILED"):
            return last
    return last
