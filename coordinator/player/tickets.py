"""A ticket: reserved, its receipt checked, the entry signed, the invoice checked and paid, renewed when it expired."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from coordinator.player import checks
from coordinator.player.answers import received_from
from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.pace import LATER, Pace
from coordinator.player.wallet import PaymentFailed
from coordinator.player.wire.members import PaymentRequest
from coordinator.player.wire.tickets import HandedIn, Renewed, Reserved, TicketStatus
from coordinator_core import bolt11
from coordinator_core.competition.entries import Entry, sign_entry
from coordinator_core.competition.holds import MAX_HOLD
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.reservation import ReservationReceipt
from coordinator_core.transaction import bytes_from_hex
from coordinator_core.units import Sats, UnixTime

if TYPE_CHECKING:
    from coordinator.player.play import Player

HELD = frozenset({"ACCEPTED", "SETTLED"})
INVOICE_SECONDS = 0.5
INVOICE_LOOKS = 120
"""How often a coordinator may say that the invoice is still being made before it counts as one that does not answer."""
LAPSED = "competition.reservation_lapsed"
LONGEST_PAUSE = 3.0
EXPIRY_GRACE_SECONDS = 15
"""For clocks that differ."""
FEE_SHARE = 20
"""At most a twentieth of the ticket for routing."""


def sign_own(player: Player, terms: Terms, ticket_hash: str, created_at: int) -> Entry:
    """The player's entry for a ticket; made again it has the same keys, hashes and commitment."""
    return sign_entry(
        player.keys.identity,
        player.keys.secret,
        terms_hash=terms.hash,
        entry_id=UUID(player.entry_id),
        ticket_hash=bytes_from_hex(ticket_hash, 32, "ticket_hash"),
        picks=player.picks,
        created_at=UnixTime(created_at),
    )


class Ticketing:
    """One player's way to a held ticket; goes on from whatever the player remembers."""

    def __init__(self, player: Player, terms: Terms) -> None:
        self._player = player
        self._terms = terms
        self._paying = ""
        self._agreed = ""

    async def hold(self) -> None:
        """Until the ticket is held. Raises VerificationFailed, ServerRefused, PaymentFailed."""
        player = self._player
        pace = Pace(player.say)
        while True:
            try:
                if not player.entry_id:
                    await self._reserve()
                ticket = await player.api.read(player.own, TicketStatus, signed=True)
                if ticket.ticket_state in HELD:
                    return
                await self._go_on(ticket)
            except (NoAnswer, ServerRefused) as error:
                await pace.after(error, LONGEST_PAUSE, LATER)
                continue
            await pace.wait(ticket.ticket_state, LONGEST_PAUSE)

    async def _reserve(self) -> None:
        player = self._player
        reserved = await player.api.send(f"{player.base}/entries", {}, Reserved, signed=True)
        player.entry_id = str(reserved.entry_id)
        self._accept(reserved)

    async def _go_on(self, ticket: TicketStatus) -> None:
        player = self._player
        expired = ticket.expires_at is not None and ticket.expires_at + EXPIRY_GRACE_SECONDS < time.time()
        if expired and player.invoice and await player.wallet.pending(player.ticket_hash):
            # Its money may still arrive: a second invoice would be paid beside it.
            return
        if expired or player.receipt is None:
            renewed = await player.api.send(f"{player.own}/renewal", {}, Renewed, signed=True)
            await self._hand_in(renewed.receipt, self._accept(renewed))
        elif (not player.invoice or ticket.ticket_state == "reserved") and not await self._is_taken(player.receipt):
            return
        checks.require(expired or ticket.ticket_state != "CANCELED", "ticket", "was canceled: it is given back")
        await self._pay()

    async def _is_taken(self, event: Event) -> bool:
        """False when the reservation is too old for its price: the next look renews it."""
        try:
            await self._hand_in(event, self._checked(event))
        except ServerRefused as error:
            if error.remote != LAPSED:
                raise
            self._player.receipt = None
            return False
        return True

    def _accept(self, reserved: Renewed) -> ReservationReceipt:
        """A reservation or a renewal: its receipt is kept before anything is signed or paid."""
        player = self._player
        receipt = self._checked(reserved.receipt)
        player.ticket_hash = receipt.ticket_hash
        player.receipt, player.invoice = reserved.receipt, ""
        player.keep()
        return receipt

    def _checked(self, event: Event) -> ReservationReceipt:
        player = self._player
        return checks.check_receipt(event, self._terms, player.keys.identity.x_only, player.entry_id)

    async def _hand_in(self, event: Event, receipt: ReservationReceipt) -> None:
        player = self._player
        if self._agreed != receipt.ticket_hash:
            player.agree(receipt.price)
            self._agreed = receipt.ticket_hash
        entry = sign_own(player, self._terms, receipt.ticket_hash, event.created_at)
        request = await self._invoice({"event": msgspec.json.decode(entry.event.to_json())})
        with received_from(Fault.COORDINATOR):
            invoice = bolt11.decode(request)
        checks.require(invoice.payment_hash.hex() == receipt.ticket_hash, "invoice", "has another payment hash")
        checks.require(invoice.amount == receipt.price.total * 1_000, "invoice", "asks for another price")
        checks.require(invoice.description_hash == self._terms.hash, "invoice", "does not name the terms")
        checks.require(invoice.min_final_cltv_expiry <= MAX_HOLD, "invoice", "holds the payment for too long")
        player.invoice = request
        player.keep()
        player.say(f"pays {receipt.price.total} sat for entry {player.entry_id}")

    async def _invoice(self, body: object) -> PaymentRequest:
        """The invoice for a signed entry; handing the same entry in again asks for it. Raises NoAnswer."""
        player = self._player
        for _ in range(INVOICE_LOOKS):
            answer = await player.api.send(player.own, body, HandedIn, signed=True, method="PUT")
            if answer.payment_request is not None:
                return answer.payment_request
            await asyncio.sleep(INVOICE_SECONDS)
        raise NoAnswer("coordinator", "made no invoice")

    async def _pay(self) -> None:
        """Once for each invoice and process; a wallet knows by itself what it paid before."""
        player = self._player
        if self._paying != player.invoice:
            total = int(bolt11.decode(player.invoice).amount or 0) // 1_000
            await player.wallet.pay_held(player.invoice, Sats(1 + total // FEE_SHARE))
            self._paying = player.invoice
        elif (reason := await player.wallet.failure(player.ticket_hash)) is not None:
            raise PaymentFailed("wallet", reason)
