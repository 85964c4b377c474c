"""LND over REST. Tested against recordings of LND 0.21.

After a refusal the invoice or payment is looked up, and what it is decides: texts and codes are no contract.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec

from coordinator.adapters.http import HttpClient, Reply, RequestBudget, TransportError
from coordinator.adapters.lightning import history, refusals, rights, wire
from coordinator.adapters.lightning.credentials import tls_for
from coordinator.adapters.lightning.payments import payment_of
from coordinator.adapters.lightning.versions import cancel_delta
from coordinator.ports.faults import PortError, Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import (
    HoldInvoice,
    InvoiceState,
    Liquidity,
    ListedInvoice,
    NodeInfo,
    OutgoingPayment,
    Payment,
    PaymentState,
)
from coordinator_core.bolt11 import decode
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Height, Sats, Seconds, UnixTime

T = TypeVar("T")

SERVICE = "lightning"
PAYMENT_MARGIN_SECONDS = 15.0
"""On top of a payment's own timeout: from then on it is read by `payment`."""
TRACK_SECONDS = 15.0
"""The first line of a tracked payment comes at once."""
MAX_CALLS, MAX_STREAMS = 64, 512
REQUESTS_PER_SECOND = 100.0
REQUEST_BURST = 200
_FINAL = (InvoiceState.SETTLED, InvoiceState.CANCELED)
_ENDED = (PaymentState.SUCCEEDED, PaymentState.FAILED)


class LndNode:
    """See ports.lightning.Lightning."""

    def __init__(
        self,
        base_url: str,
        macaroon: Secret,
        *,
        certificate: Path | None = None,
        hold_expiry_delta: Blocks | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`certificate` pins the node's own TLS certificate; without one the URL must be loopback HTTP.

        `hold_expiry_delta` is what LND's `invoices.holdexpirydelta` says, if it is set there. Raises Unsuitable.
        """
        self._hold_expiry_delta = hold_expiry_delta
        self._macaroon = macaroon
        budget = RequestBudget(REQUESTS_PER_SECOND, REQUEST_BURST)
        header = Secret(macaroon.reveal().hex().encode())
        verify = tls_for(SERVICE, base_url, certificate)

        def client(max_connections: int) -> HttpClient:
            return HttpClient(
                SERVICE,
                base_url,
                fault=Fault.LIGHTNING,
                headers={"Grpc-Metadata-macaroon": header},
                verify=verify,
                budget=budget,
                max_connections=max_connections,
                transport=transport,
            )

        self._http = client(MAX_CALLS)
        # Streams stay open for minutes: they must never take the connections that lookups and settles need.
        self._streams = client(MAX_STREAMS)

    async def close(self) -> None:
        """Close all connections."""
        await self._streams.close()
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
            cancel_delta=self._cancel_delta(info.version),
        )

    def _cancel_delta(self, version: str) -> Blocks:
        own, configured = cancel_delta(version), self._hold_expiry_delta
        if configured is not None and configured < own:
            raise Unsuitable(SERVICE, f"holdexpirydelta is below {own}, this version's own", fault=Fault.COORDINATOR)
        return own if configured is None else configured

    async def missing_rights(self) -> tuple[str, ...] | None:
        """The calls of this client that its macaroon does not allow; None when it may not even ask.

        Raises Unreachable.
        """
        return await rights.missing(self._http, self._macaroon)

    async def bake_macaroon(self, root_key_id: int = rights.ROOT_KEY_ID) -> Secret:
        """The least macaroon that this client works with, in binary form. Needs one that may bake.

        Raises Unreachable, Rejected or Unsuitable.
        """
        return await rights.bake(self._http, root_key_id)

    async def liquidity(self) -> Liquidity:
        """See ports.lightning.Lightning. Active channels, less the reserves that cannot be spent."""
        listed = self._decode(await self._http.get_with_retries("/v1/channels"), wire.ChannelsWire)
        active = [channel for channel in listed.channels if channel.active]
        return Liquidity(
            outbound=Sats(sum(_spendable(c.local_balance, c.local_constraints) for c in active)),
            inbound=Sats(sum(_spendable(c.remote_balance, c.remote_constraints) for c in active)),
            local=Sats(sum(_local(channel) for channel in listed.channels)),
        )

    async def add_hold_invoice(
        self, payment_hash: str, value: Sats, *, description_hash: bytes, expiry: Seconds, cltv_expiry: Blocks
    ) -> HoldInvoice:
        """See ports.lightning.Lightning.

        Equal means: same amount, same description hash, and held at least as many blocks. Raises InvalidInput for
        numbers that LND would read as "none" or "default".
        """
        wire.check_sum(value, "value", 1)
        wire.check_sum(expiry, "expiry", 1)
        wire.check_sum(cltv_expiry, "cltv_expiry", 1)
        if len(description_hash) != 32:
            raise InvalidInput("description_hash", f"has {len(description_hash)} bytes", "32 bytes")
        body = {
            "hash": wire.to_base64(payment_hash),
            "value": str(value),
            "description_hash": wire.standard_base64(description_hash),
            "expiry": str(expiry),
            "cltv_expiry": str(cltv_expiry),
        }
        reply = await self._http.post("/v2/invoices/hodl", json=body)
        made = await self._lookup(payment_hash)
        if made is None:
            raise self._without_effect(reply)
        if made.value_msat != str(value * 1_000) or made.description_hash != body["description_hash"]:
            raise Rejected(SERVICE, "the hash has an invoice over something else", fault=Fault.COORDINATOR)
        if int(made.cltv_expiry) < cltv_expiry:
            raise Rejected(SERVICE, "the hash has an invoice with a shorter hold", fault=Fault.COORDINATOR)
        return _invoice(made, payment_hash)

    async def invoice(self, payment_hash: str) -> HoldInvoice | None:
        """See ports.lightning.Lightning."""
        found = await self._lookup(payment_hash)
        return None if found is None else _invoice(found, payment_hash)

    async def _lookup(self, payment_hash: str) -> wire.InvoiceWire | None:
        wanted = wire.standard_base64(wire.hash_bytes(payment_hash))
        reply = await self._http.get_with_retries(
            "/v2/invoices/lookup", params={"payment_hash": wire.to_base64(payment_hash)}
        )
        if refusals.is_unknown_invoice(reply):
            return None
        found = self._decode(reply, wire.InvoiceWire)
        if found.r_hash != wanted:
            raise Unreachable(SERVICE, "the answer is of another invoice", fault=Fault.LIGHTNING)
        return found

    async def invoice_updates(self, payment_hash: str) -> AsyncGenerator[InvoiceState]:
        """See ports.lightning.Lightning. Raises Unreachable when the node says nothing for a minute."""
        path = f"/v2/invoices/subscribe/{wire.to_base64(payment_hash)}"
        try:
            async with self._streams.stream_lines("GET", path) as lines:
                async for line in lines:
                    state = self._line(line, wire.InvoiceWire).state
                    yield state
                    if state in _FINAL:
                        return
        except TransportError as error:
            raise self._stream_error(error) from error

    async def settle(self, preimage: Secret) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        secret = preimage.reveal()
        body = {"preimage": wire.standard_base64(secret)}
        return await self._end_invoice("/v2/invoices/settle", body, hashlib.sha256(secret).hexdigest())

    async def cancel(self, payment_hash: str) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        body = {"payment_hash": wire.to_base64(payment_hash)}
        return await self._end_invoice("/v2/invoices/cancel", body, payment_hash)

    async def _end_invoice(self, path: str, body: dict[str, str], payment_hash: str) -> HoldInvoice:
        reply = await self._http.post(path, json=body)
        now = await self.invoice(payment_hash)
        if now is None or now.state not in _FINAL:
            raise self._without_effect(reply)
        return now

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> Payment:
        """See ports.lightning.Lightning.

        Still in flight when the time is over, or when the connection broke after the node had taken the payment:
        IN_FLIGHT. Raises InvalidInput for an invoice or for limits that LND would not read as limits.
        """
        wire.check_sum(fee_limit, "fee_limit", 0)
        wire.check_sum(timeout, "timeout", 1)
        wire.check_sum(cltv_limit, "cltv_limit", 1)
        payment_hash = decode(payment_request).payment_hash
        body = {
            "payment_request": payment_request,
            "fee_limit_sat": str(fee_limit),
            "timeout_seconds": int(timeout),
            "cltv_limit": int(cltv_limit),
        }
        seen: list[Payment] = []
        try:
            async with asyncio.timeout(timeout + PAYMENT_MARGIN_SECONDS):
                await self._follow(body, payment_hash, seen)
        except (TransportError, TimeoutError) as error:
            if not seen:
                raise self._stream_error(error) from error
        if not seen:
            raise Unreachable(SERVICE, "the payment stream ended without a word", fault=Fault.LIGHTNING)
        return seen[-1]

    async def _follow(self, body: dict[str, str | int], payment_hash: bytes, seen: list[Payment]) -> None:
        async with self._streams.stream_lines(
            "POST", "/v2/router/send", json=body, idle=float(body["timeout_seconds"]) + PAYMENT_MARGIN_SECONDS
        ) as lines:
            async for line in lines:
                seen.append(payment_of(self._line(line, wire.PaymentWire), payment_hash, SERVICE))
                if seen[-1].state in _ENDED:
                    return

    async def payment(self, payment_hash: str) -> Payment:
        """See ports.lightning.Lightning."""
        wanted = wire.hash_bytes(payment_hash)
        path = f"/v2/router/track/{wire.to_base64(payment_hash)}"
        try:
            async with (
                asyncio.timeout(TRACK_SECONDS),
                self._http.stream_lines("GET", path, idle=TRACK_SECONDS) as lines,
            ):
                first = await anext(lines, None)
        except (TransportError, TimeoutError) as error:
            if isinstance(error, TransportError) and _is_unknown_payment(error):
                listed = await self._listed(payment_hash)
                never = Payment(wanted.hex(), PaymentState.NEVER_SENT)
                return never if listed is None else payment_of(listed, wanted, SERVICE)
            raise self._stream_error(error) from error
        if first is None:
            return Payment(wanted.hex(), PaymentState.UNKNOWN)
        return payment_of(self._line(first, wire.PaymentWire), wanted, SERVICE)

    async def history_reaches(self, payment_hash: str) -> bool:
        """See ports.lightning.Lightning."""
        return await self._listed(payment_hash) is not None

    async def listed_payments(self, since: UnixTime) -> tuple[OutgoingPayment, ...]:
        """See ports.lightning.Lightning."""
        found: list[OutgoingPayment] = []
        async for row in history.payments(self._http):
            line = history.payment_line(row)
            if line.created_at < since:
                break
            found.append(line)
        return tuple(found)

    async def listed_invoices(self, since: UnixTime) -> tuple[ListedInvoice, ...]:
        """See ports.lightning.Lightning."""
        found: list[ListedInvoice] = []
        async for row in history.invoices(self._http):
            line = history.invoice_line(row)
            if line.created_at < since:
                break
            found.append(line)
        return tuple(found)

    async def _listed(self, payment_hash: str) -> wire.PaymentWire | None:
        """The newest payment of this hash in the node's list."""
        wanted = wire.hash_bytes(payment_hash).hex()
        async for item in history.payments(self._http):
            if item.payment_hash == wanted:
                return item
        return None

    def _decode(self, reply: Reply, kind: type[T]) -> T:
        if not reply.ok:
            raise refusals.refusal(reply)
        return reply.decode(kind)

    def _line(self, line: bytes, kind: type[T]) -> T:
        """The result of a stream's line. An error in an open stream leaves open what happened."""
        try:
            item = msgspec.json.decode(line, type=wire.Line[kind])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(SERVICE, f"unexpected line: {error}", fault=Fault.LIGHTNING) from error
        if item.result is None:
            reason = item.error.message if item.error is not None else "an empty line"
            raise TransportError(SERVICE, f"the stream broke off: {reason}", fault=Fault.LIGHTNING)
        return item.result

    def _stream_error(self, error: TransportError | TimeoutError) -> PortError:
        if isinstance(error, TimeoutError):
            return Unreachable(SERVICE, "no word in time", fault=Fault.LIGHTNING)
        return error if error.refused is None else refusals.refusal(error.refused)

    def _without_effect(self, reply: Reply) -> PortError:
        """What to raise when a lookup does not show what a call was to do."""
        if reply.ok:
            return Unreachable(SERVICE, "accepted a call that shows no effect yet", fault=Fault.LIGHTNING)
        return refusals.refusal(reply)


def _is_unknown_payment(error: TransportError) -> bool:
    return error.refused is not None and refusals.is_unknown_payment(error.refused)


def _spendable(balance: str, constraints: wire.ConstraintsWire | None) -> int:
    return max(0, int(balance) - (int(constraints.chan_reserve_sat) if constraints is not None else 0))


def _local(channel: wire.ChannelWire) -> int:
    """An outgoing payment is ours until it is settled: it comes back if it fails."""
    under_way = sum(int(htlc.amount) for htlc in channel.pending_htlcs if not htlc.incoming)
    return int(channel.local_balance) + under_way


def _invoice(found: wire.InvoiceWire, payment_hash: str) -> HoldInvoice:
    heights = [htlc.expiry_height for htlc in found.htlcs or () if htlc.state == "ACCEPTED"]
    return HoldInvoice(
        payment_hash=payment_hash,
        payment_request=found.payment_request,
        state=found.state,
        value=Sats(int(found.value_msat) // 1_000),
        expires_at=UnixTime(int(found.creation_date) + int(found.expiry)),
        expiry_height=Height(min(heights)) if heights else None,
    )
