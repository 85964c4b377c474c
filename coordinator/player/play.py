"""Play one entry of one competition: join, pay, keep the appointment of the closing, be paid.

A page left open does the same. Nothing is signed or sealed that was not checked (coordinator.player.checks).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from coordinator.player import checks, prizes
from coordinator.player.closing import Closing, Sealing
from coordinator.player.gateway import Gateway
from coordinator.player.http import MAX_CONTRACT_BYTES, NoAnswer, ServerRefused, Service
from coordinator.player.keys import PlayerKeys
from coordinator.player.oracle import OracleReader
from coordinator.player.pace import Pace
from coordinator.player.result import due_by_oracle
from coordinator.player.tickets import Ticketing, sign_own
from coordinator.player.wallet import Wallet
from coordinator.player.wire.competition import Clocks, Shown
from coordinator.player.wire.payouts import KeyGiven, PayoutAsked, PayoutStatus
from coordinator.player.wire.tickets import SettledTicket
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.competition.fees import PriceLines
from coordinator_core.competition.picks import Pick
from coordinator_core.competition.player_keys import entry_key, payout_preimage
from coordinator_core.competition.terms import Network, Terms
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.secp256k1 import sha256
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds, UnixTime

OPEN_SECONDS, CLOSING_SECONDS, RESULT_SECONDS = 5.0, 1.0, 5.0
"""Longest pauses between looks, while entries are open, in the closing, and for the result."""
ASK_AGAIN_SECONDS = 30.0
LONGEST_INVOICE = Seconds(366 * 86_400)
FINAL = frozenset({"PAID", "CLAIMED", "OWED", "VOID", "UNECONOMIC", "lost"})
NOT_SETTLED = frozenset({404, 409})
WITHOUT_CONTRACT = frozenset({"returning", "cancelled", "failed"})


def agree_to_any(_: PriceLines) -> None:
    """A player that takes every price within the terms."""


def keep_nothing() -> None:
    """A player whose memory ends with its process."""


@dataclass(slots=True)
class Player:
    """One player with its keys and wallet at one coordinator."""

    url: str
    keys: PlayerKeys
    wallet: Wallet
    competition: str
    say: Callable[[str], None] = lambda _: None
    agree: Callable[[PriceLines], None] = agree_to_any
    """Hears the price of each receipt before the entry is signed; raises to stop."""
    keep: Callable[[], None] = keep_nothing
    """Called after each change that a restarted client needs."""
    terms: Terms | None = None
    terms_hash: bytes | None = None
    entry_id: str = ""
    picks: tuple[Pick, ...] = ()
    ticket_hash: str = ""
    receipt: Event | None = None
    invoice: str = ""
    sealing: Sealing | None = None
    entries_seen: dict[str, str] = field(default_factory=dict[str, str])
    """Event id (hex) of every player's entry, by entry id, as it was before this player opened its picks."""
    contract: str | None = None
    """Digest (hex) of the contract whose batches were compared last."""
    payout_request: str = ""
    debt_receipt: Event | None = None
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
        self.terms = checks.check_terms(raw, self.competition, self.terms_hash)
        self.terms_hash = self.terms.hash
        return self.terms

    async def join(self, picks: Sequence[Pick]) -> None:
        """Reserve, check the receipt, sign the entry, check the invoice and pay it. Returns once the ticket is held.

        A player that remembers an entry goes on with it.
        """
        terms = await self.read_terms()
        self.picks = tuple(picks)
        await Ticketing(self, terms).hold()

    async def keep_appointment(self) -> ClaimKit | None:
        """Stay through the closing until it says done; the claim kit, or None when the tickets are returned."""
        terms = await self.read_terms()
        gateway, oracle = Gateway(terms.keymeld.gateway), OracleReader(terms.oracle.url)
        try:
            closing = Closing(self, terms, gateway, oracle)
            await self._attend(closing)
        finally:
            await gateway.close()
            await oracle.close()
        if closing.returned:
            return None
        kit = prizes.read_kit(await self.api.get(f"{self.own}/kit", signed=True, limit=MAX_CONTRACT_BYTES))
        prizes.check_kit(kit, terms, sign_own(self, terms, self.ticket_hash, 0), self.contract)
        self.kit = kit
        self.keep()
        self.say("holds a verified claim kit")
        return self.kit

    async def _attend(self, closing: Closing) -> None:
        pace = Pace(self.say)
        while True:
            longest = OPEN_SECONDS if closing.attempt is None else CLOSING_SECONDS
            try:
                if await closing.step():
                    return
            except (NoAnswer, ServerRefused) as error:
                await pace.after(error, CLOSING_SECONDS)
                continue
            await pace.wait(closing.attempt, longest)

    async def ticket_preimage(self) -> Secret | None:
        """The proof of payment out of the player's own wallet; None before the ticket is settled."""
        return await self.wallet.payment_preimage(self.ticket_hash)

    async def proof_of_payment(self) -> Secret | None:
        """The ticket's preimage, that the wallet shows or the coordinator gives; None if the ticket is given back."""
        pace = Pace(self.say)
        while True:
            try:
                found = await self.ticket_preimage() or await self._given_preimage()
                seen = await self.api.read(self.base, Shown)
            except (NoAnswer, ServerRefused) as error:
                await pace.after(error, RESULT_SECONDS)
                continue
            if found is not None or seen.state in WITHOUT_CONTRACT:
                return found
            await pace.wait(seen.state, RESULT_SECONDS)

    async def _given_preimage(self) -> Secret | None:
        try:
            answer = await self.api.read(f"{self.own}/ticket", SettledTicket, signed=True)
        except ServerRefused as error:
            if error.status in NOT_SETTLED:
                return None
            raise
        preimage = Secret(bytes.fromhex(answer.preimage))
        opens = sha256(preimage.reveal()).hex() == self.ticket_hash
        checks.require(opens, "preimage", "does not open the ticket's hash")
        return preimage

    async def result(self) -> PayoutStatus:
        """Wait until it is known what became of the entry; the payout status, `state` "none" if it ended without."""
        pace = Pace(self.say)
        while True:
            try:
                status = await self._payout()
                seen = await self.api.read(self.base, Shown)
            except (NoAnswer, ServerRefused) as error:
                await pace.after(error, RESULT_SECONDS)
                continue
            if status.state != "none" or seen.state in WITHOUT_CONTRACT:
                return status
            await pace.wait(seen.state, RESULT_SECONDS)

    async def _payout(self) -> PayoutStatus:
        return await self.api.read(f"{self.own}/payout", PayoutStatus, signed=True)

    async def take_prize(self, *, plain: bool = False, keep_key: bool = False, until: frozenset[str] = FINAL) -> str:
        """Be paid if there is a prize: atomic by default; the entry key only after the payment. The final state.

        A payment that failed is asked for again with the same invoice: Lightning takes no second one on its hash.
        """
        pace, asked = Pace(self.say), 0.0
        while True:
            try:
                status = await self._payout()
                if status.state == "PAID" and not keep_key:
                    await self._give_key()
                if status.state in until:
                    return status.state
                if status.state == "CLAIMABLE" and time.monotonic() > asked:
                    await self._ask(status, plain=plain)
                    asked = time.monotonic() + ASK_AGAIN_SECONDS
            except (NoAnswer, ServerRefused) as error:
                await pace.after(error, RESULT_SECONDS)
                continue
            await pace.wait(status.state, RESULT_SECONDS)

    async def _ask(self, status: PayoutStatus, *, plain: bool) -> None:
        kit, net = self.kit, status.net
        if kit is None:
            raise InvalidInput("kit", "is not here to compare the prize with", "keep the appointment first")
        if net is None:
            raise checks.refusal("payout.net", "is missing for a prize that can be claimed")
        due = await self._due(kit)
        prizes.check_prize(net, due)
        secret = payout_preimage(self.keys.secret, UUID(self.entry_id))
        if not self.payout_request:
            expiry = await self._invoice_expiry(status)
            self.payout_request = await self.wallet.make_invoice(net, expiry, None if plain else secret)
            self.keep()
        body = {"payment_request": self.payout_request, "payout_preimage": secret.reveal().hex() if plain else None}
        answer = await self.api.send(f"{self.own}/payout", body, PayoutAsked, signed=True)
        if plain:
            receipt = answer.debt_receipt
            if receipt is None:
                raise checks.refusal("payout.debt_receipt", "is missing for a preimage that was handed over")
            self.debt_receipt = receipt
            self.keep()
            prizes.check_debt(receipt, kit.terms, sign_own(self, kit.terms, self.ticket_hash, 0), net, due)
        self.say(f"asks for {net} sat over Lightning" + (", preimage handed over first" if plain else ", atomically"))

    async def _due(self, kit: ClaimKit) -> prizes.Due:
        oracle = OracleReader(kit.terms.oracle.url)
        try:
            return await due_by_oracle(kit, oracle, await self._now(kit.terms.network))
        finally:
            await oracle.close()

    async def _now(self, network: Network) -> UnixTime:
        """On a development chain time is the chain's and only its coordinator tells it; elsewhere it is our own."""
        if network is Network.REGTEST:
            return (await self.api.read("/api/v1/status", Clocks)).now
        return UnixTime(int(time.time()))

    async def _invoice_expiry(self, status: PayoutStatus) -> Seconds:
        now = (await self.api.read("/api/v1/status", Clocks)).wall
        wanted = Seconds(max(3_600, (status.invoice_must_last_until or now) - now + 600))
        checks.require(wanted <= LONGEST_INVOICE, "payout.invoice_must_last_until", "is too far away")
        return wanted

    async def _give_key(self) -> None:
        """To save fees, and only once the own wallet shows the payment: whoever has the key has the output."""
        if self.kit is None or not self.payout_request:
            return
        if not await self.wallet.received(self.payout_request):
            self.say("keeps its entry key: its own wallet does not show the payment")
            return
        key = entry_key(self.keys.secret, UUID(self.entry_id), self.kit.attempt)
        await self.api.send(f"{self.own}/key", {"entry_key": key.reveal().hex()}, KeyGiven, signed=True)
