"""A player's Lightning wallet: its own LND over REST. Pays tickets, makes payout invoices, keeps the preimages."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Protocol, TypeVar

from coordinator.player.http import MAX_ANSWER_BYTES, MAX_CONTRACT_BYTES, ServerRefused, Service
from coordinator.player.wire.lightning import ChannelBalance, Invoice, InvoiceMade, Payment, Payments
from coordinator_core import bolt11
from coordinator_core.errors import CoreError, Fault
from coordinator_core.secret import Secret
from coordinator_core.units import Sats, Seconds

T = TypeVar("T")

FAILED = "FAILED"
ALREADY_EXISTS = "6"
"""LND's code for a payment that is in flight or was made."""


class PaymentFailed(CoreError):
    """The player's own wallet could not pay."""

    code = "player.payment_failed"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.fault = Fault.PLAYER


class Wallet(Protocol):
    """What a player needs of a Lightning wallet."""

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """Start paying a hold invoice; again for the same invoice it has no second effect."""
        ...

    async def failure(self, payment_hash: str) -> str | None:
        """Why a payment of ours failed; None while it has not."""
        ...

    async def pending(self, payment_hash: str) -> bool:
        """True while a payment of ours is under way or made: its money may still leave."""
        ...

    async def received(self, payment_request: str) -> bool:
        """True once an invoice of ours was paid; False as well if this wallet cannot know."""
        ...

    async def payment_preimage(self, payment_hash: str) -> Secret | None:
        """The preimage of a payment of ours that succeeded; None before."""
        ...

    async def make_invoice(self, amount: Sats, expiry: Seconds, preimage: Secret | None = None) -> str:
        """An invoice; with a preimage of ours it is the one on that preimage's hash."""
        ...


class LightningWallet:
    """One LND node of the player's. `certificate` is LND's own TLS certificate."""

    def __init__(self, url: str, macaroon_hex: str, certificate: Path | None = None) -> None:
        self._service = Service("wallet", url, fault=Fault.LIGHTNING, certificate=certificate)
        self._headers = {"Grpc-Metadata-macaroon": macaroon_hex}

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def balance(self) -> Sats:
        """What the channels hold on our side."""
        return Sats(int((await self._get("/v1/balance/channels", ChannelBalance)).local_balance.sat))

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """Start paying a hold invoice and return; the payment goes on in the node."""
        body = {
            "payment_request": payment_request,
            "fee_limit_sat": str(fee_limit),
            "timeout_seconds": 60,
            "allow_self_payment": False,
        }
        try:
            await self._service.first_line("/v2/router/send", body, self._headers)
        except ServerRefused as error:
            if error.remote != ALREADY_EXISTS:
                raise PaymentFailed("wallet", str(error)) from error

    async def failure(self, payment_hash: str) -> str | None:
        """See Wallet."""
        payment = await self._payment(payment_hash)
        if payment is None or payment.status != FAILED:
            return None
        return payment.failure_reason or "the payment failed"

    async def pending(self, payment_hash: str) -> bool:
        """See Wallet."""
        payment = await self._payment(payment_hash)
        return payment is not None and payment.status != FAILED

    async def received(self, payment_request: str) -> bool:
        """See Wallet."""
        payment_hash = bolt11.decode(payment_request).payment_hash.hex()
        return (await self._get(f"/v1/invoice/{payment_hash}", Invoice)).state == "SETTLED"

    async def payment_preimage(self, payment_hash: str) -> Secret | None:
        """See Wallet."""
        payment = await self._payment(payment_hash)
        if payment is None or payment.status != "SUCCEEDED":
            return None
        return Secret(bytes.fromhex(payment.payment_preimage))

    async def _payment(self, payment_hash: str) -> Payment | None:
        answer = await self._get("/v1/payments?include_incomplete=true", Payments, MAX_CONTRACT_BYTES)
        return next((p for p in answer.payments if p.payment_hash == payment_hash), None)

    async def make_invoice(self, amount: Sats, expiry: Seconds, preimage: Secret | None = None) -> str:
        """An invoice; with a preimage of ours it is the one on that preimage's hash."""
        body: dict[str, Any] = {"value": str(amount), "expiry": str(expiry)}
        if preimage is not None:
            body["r_preimage"] = base64.b64encode(preimage.reveal()).decode()
        answer = await self._service.send("/v1/invoices", body, InvoiceMade, headers=self._headers)
        return answer.payment_request

    async def _get(self, path: str, kind: type[T], limit: int = MAX_ANSWER_BYTES) -> T:
        return await self._service.read(path, kind, headers=self._headers, limit=limit)
