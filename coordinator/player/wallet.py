"""A player's Lightning wallet: its own LND over REST. Pays tickets, makes payout invoices, keeps the preimages."""

from __future__ import annotations

import base64
from typing import Any

from coordinator.player.http import NoAnswer, Service
from coordinator_core.secret import Secret
from coordinator_core.units import Sats, Seconds

PAY_SECONDS = 86_400


class LightningWallet:
    """One LND node of the player's."""

    def __init__(self, url: str, macaroon_hex: str) -> None:
        self._service = Service("wallet", url)
        self._headers = {"Grpc-Metadata-macaroon": macaroon_hex}

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def balance(self) -> Sats:
        """What the channels hold on our side."""
        answer = await self._get("/v1/balance/channels")
        return Sats(int(answer["local_balance"]["sat"]))

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """Start paying a hold invoice and return; the payment goes on in the node."""
        body = {
            "payment_request": payment_request,
            "fee_limit_sat": str(fee_limit),
            "timeout_seconds": 60,
            "allow_self_payment": False,
        }
        await self._service.first_line("/v2/router/send", body, self._headers)

    async def payment_preimage(self, payment_hash: str) -> Secret | None:
        """The preimage of a payment of ours that succeeded; None before."""
        answer = await self._get("/v1/payments?include_incomplete=true")
        for payment in answer.get("payments", []):
            if payment["payment_hash"] == payment_hash and payment["status"] == "SUCCEEDED":
                return Secret(bytes.fromhex(payment["payment_preimage"]))
        return None

    async def make_invoice(self, amount: Sats, expiry: Seconds, preimage: Secret | None = None) -> str:
        """An invoice; with a preimage of ours it is the one on that preimage's hash."""
        body: dict[str, Any] = {"value": str(amount), "expiry": str(expiry)}
        if preimage is not None:
            body["r_preimage"] = base64.b64encode(preimage.reveal()).decode()
        answer = await self._service.post_with("/v1/invoices", body, self._headers)
        request = answer.get("payment_request")
        if not isinstance(request, str):
            raise NoAnswer("wallet", "no invoice was made")
        return request

    async def _get(self, path: str) -> Any:
        return await self._service.get_json(path, headers=self._headers)
