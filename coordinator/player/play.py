"""Play one entry of one competition: join, pay, keep the appointment of the closing, be paid.

A page left open does the same. Nothing is signed or sealed that was not checked (coordinator.player.checks).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from coordinator.player import checks
from coordinator.player.closing import Closing
from coordinator.player.gateway import Gateway
from coordinator.player.http import Service
from coordinator.player.keys import PlayerKeys
from coordinator.player.oracle import OracleReader
from coordinator.player.wallet import LightningWallet
from coordinator_core import bolt11
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.picks import Pick
from coordinator_core.competition.player_keys import entry_key, payout_preimage
from coordinator_core.competition.terms import Terms
from coordinator_core.nostr.event import Event
from coordinator_core.secret import Secret
from coordinator_core.units import Sats, Seconds, UnixTime

POLL_SECONDS = 0.5
FEE_SHARE = 20
"""At most a twentieth of the ticket for routing."""
FINAL = frozenset({"PAID", "CLAIMED", "OWED", "VOID", "lost"})


@dataclass(slots=True)
class Player:
    """One player with its keys and wallet at one coordinator."""

    url: str
    keys: PlayerKeys
    wallet: LightningWallet
    competition: str
    say: Callable[[str], None] = lambda _: None
    terms: Terms | None = None
    entry_id: str = ""
    picks: tuple[Pick, ...] = ()
    ticket_hash: str = ""
    kit: ClaimKit | None = None
    _service: Service | None = field(default=None, repr=False)

    @property
    def api(self) -> Service:
        """The coordinator."""
        if self._service is None:
            self._service = Service("coordinator", self.url, self.keys.identity)
        return self._service

    @property
    def base(self) -> str:
        """Path of the competition."""
        return f"/api/v1/competitions/{self.competition}"

    @property
    def own(self) -> str:
        """Path of the entry."""
        return f"{self.base}/entries/{self.entry_id}"

    async def close(self) -> None:
        """Close all connections."""
        await self.api.close()
        await self.wallet.close()

    async def read_terms(self) -> Terms:
        """The terms, verified; they must never change."""
        raw = await self.api.get(f"{self.base}/terms")
        known = self.terms.hash if self.terms is not None else None
        self.terms = checks.check_terms(raw, self.competition, known)
        return self.terms

    async def join(self, picks: Sequence[Pick]) -> None:
        """Reserve, check the receipt, sign the entry, check the invoice and pay it. Returns once the ticket is held."""
        terms = await self.read_terms()
        self.picks = tuple(picks)
        reserved = await self.api.post(f"{self.base}/entries", {}, signed=True)
        self.entry_id = str(UUID(reserved["entry_id"]))
        invoice = await self._hand_in(terms, reserved)
        await self.wallet.pay_held(invoice, Sats(1 + _msat(invoice) // 1_000 // FEE_SHARE))
        await self._until_held()

    async def _hand_in(self, terms: Terms, reserved: dict[str, Any]) -> str:
        receipt_event = msgspec.convert(reserved["receipt"], Event)
        receipt = checks.check_receipt(receipt_event, terms, self.keys.identity.x_only, self.entry_id)
        self.ticket_hash = receipt.ticket_hash
        entry = sign_entry(
            self.keys.identity,
            self.keys.secret,
            terms_hash=terms.hash,
            entry_id=UUID(self.entry_id),
            ticket_hash=bytes.fromhex(receipt.ticket_hash),
            picks=self.picks,
            created_at=UnixTime(receipt_event.created_at),
        )
        body = {"event": msgspec.json.decode(entry.event.to_json())}
        answer = await self.api.post(self.own, body, signed=True, method="PUT")
        while "payment_request" not in answer:
            await asyncio.sleep(POLL_SECONDS)
            answer = await self.api.post(self.own, body, signed=True, method="PUT")
        request = str(answer["payment_request"])
        invoice = bolt11.decode(request)
        checks.require(invoice.payment_hash.hex() == receipt.ticket_hash, "invoice", "has another payment hash")
        checks.require(invoice.amount == receipt.price.total * 1_000, "invoice", "asks for another price")
        checks.require(invoice.description_hash == terms.hash, "invoice", "does not name the terms")
        self.say(f"pays {receipt.price.total} sat for entry {self.entry_id}")
        return request

    async def _until_held(self) -> None:
        while True:
            ticket = await self.api.get_json(self.own, signed=True)
            if ticket["ticket_state"] in ("ACCEPTED", "SETTLED"):
                return
            checks.require(ticket["ticket_state"] != "CANCELED", "ticket", "was canceled")
            await asyncio.sleep(POLL_SECONDS)

    async def keep_appointment(self) -> ClaimKit | None:
        """Stay through the closing until it says done; the claim kit, or None when the tickets are returned."""
        terms = await self.read_terms()
        gateway, oracle = Gateway(terms.keymeld.gateway), OracleReader(terms.oracle.url)
        try:
            closing = Closing(self, terms, gateway, oracle)
            while not await closing.step():  # noqa: ASYNC110  (the other side is HTTP: no event could wake us)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await gateway.close()
            await oracle.close()
        if closing.returned:
            return None
        self.kit = ClaimKit.from_json(await self.api.get(f"{self.own}/kit", signed=True))
        checks.require(self.kit.signed.contract.outpoint == closing.outpoint, "kit", "is for another contract")
        self.say("holds a verified claim kit")
        return self.kit

    async def ticket_preimage(self) -> Secret | None:
        """The proof of payment out of the player's own wallet; None before the ticket is settled."""
        return await self.wallet.payment_preimage(self.ticket_hash)

    async def take_prize(self, *, plain: bool = False, keep_key: bool = False) -> str:
        """Be paid if there is a prize: atomic by default; the entry key only after the payment. The final state."""
        asked = False
        while True:
            status = await self.api.get_json(f"{self.own}/payout", signed=True)
            if status["state"] == "PAID":
                if not keep_key:
                    await self._give_key()
                return "PAID"
            if status["state"] in FINAL:
                return str(status["state"])
            if status["state"] == "CLAIMABLE" and not asked:
                await self._ask(status, plain=plain)
                asked = True
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, status: dict[str, Any], *, plain: bool) -> None:
        secret = payout_preimage(self.keys.secret, UUID(self.entry_id))
        now = (await self.api.get_json("/api/v1/status"))["wall"]
        expiry = Seconds(max(3_600, int(status["invoice_must_last_until"]) - int(now) + 600))
        net = Sats(int(status["net"]))
        request = await self.wallet.make_invoice(net, expiry, None if plain else secret)
        body = {"payment_request": request, "payout_preimage": secret.reveal().hex() if plain else None}
        await self.api.post(f"{self.own}/payout", body, signed=True)
        self.say(f"asks for {net} sat over Lightning" + (", preimage handed over first" if plain else ", atomically"))

    async def _give_key(self) -> None:
        if self.kit is None:
            return
        key = entry_key(self.keys.secret, UUID(self.entry_id), self.kit.attempt)
        await self.api.post(f"{self.own}/key", {"entry_key": key.reveal().hex()}, signed=True)


def _msat(request: str) -> int:
    return int(bolt11.decode(request).amount or 0)
