"""The closing, one step at a time: seal and open, compare every item, say ready, approve (money section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

from coordinator.player import checks
from coordinator.player.gateway import Enclave, Gateway, NotSetUp
from coordinator.player.oracle import OracleReader
from coordinator_core.competition.picks import sorted_picks
from coordinator_core.competition.player_keys import entry_key, picks_salt, slot_key
from coordinator_core.competition.terms import Terms
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.audit import OpenSession, audit_session_secret, audit_sessions
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import RosterExpectation, SignedRoster, VerifiedRoster, verify_roster
from coordinator_core.nostr import nip44
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

if TYPE_CHECKING:
    from coordinator.player.play import Player


class Sealing(Struct, frozen=True):
    """What a restarted client needs to go on in an attempt: its own registration can be sealed only once."""

    attempt: int
    manifest: dict[str, Any]
    recipients: dict[str, Any]
    registration: str


@dataclass(slots=True)
class Attempt:
    """What the player did and verified in one attempt."""

    number: int
    manifest: SignedManifest
    recipients: EnclaveRecipients
    registration: SealedRegistration
    joined: bool = False
    user: UserAccess | None = None
    roster: VerifiedRoster | None = None
    secret: Secret | None = None
    ready_for: tuple[str, ...] = ()
    items: dict[str, tuple[EncryptedItem, ...]] | None = None
    approved: frozenset[str] = frozenset()


class Closing:
    """One player's way through the closing of one competition."""

    def __init__(self, player: Player, terms: Terms, gateway: Gateway, oracle: OracleReader) -> None:
        self._player = player
        self._terms = terms
        self._gateway = gateway
        self._oracle = oracle
        self._attempt: Attempt | None = None
        self.returned = False
        self.attempt: int | None = None
        """The attempt that runs, as the coordinator says."""

    async def step(self) -> bool:
        """Do what is wanted now; True when the closing is done for this player."""
        player = self._player
        status = await player.api.get_json(f"{player.base}/keymeld/status?entry={player.entry_id}", signed=True)
        self.attempt = status["attempt"]
        if status["closing_done"]:
            self.returned = status["signing_status"] != "signed" or not status["in_attempt"]
            return True
        if status["in_attempt"]:
            await self._attend(status)
        return False

    async def _attend(self, status: dict[str, Any]) -> None:
        if self._attempt is None and status["attempt"] is not None:
            self._recall(int(status["attempt"]), joined=bool(status["sealed"]))
        if status["keygen_status"] == "sealing":
            await self._seal(status)
        elif status["signing_sessions"]:
            await self._sign(status)

    def _recall(self, number: int, *, joined: bool) -> None:
        """After a restart: the registration that was made before it."""
        kept = self._player.sealing
        if kept is None or kept.attempt != number:
            return
        manifest = SignedManifest.from_value(kept.manifest)
        recipients = EnclaveRecipients.from_value(kept.recipients, manifest)
        registration = SealedRegistration.from_json(kept.registration)
        self._attempt = Attempt(number, manifest, recipients, registration, joined)

    async def _enclaves(self, recipients: EnclaveRecipients) -> tuple[dict[int, Enclave], UnixTime]:
        enclaves: dict[int, Enclave] = {}
        now = UnixTime(0)
        for enclave_id in recipients.recipient_public_keys:
            enclaves[enclave_id], now = await self._gateway.enclave(enclave_id)
        return enclaves, now

    async def _seal(self, status: dict[str, Any]) -> None:
        number = int(status["attempt"])
        if self._attempt is not None and self._attempt.number == number and self._attempt.joined:
            return
        if self._attempt is None or self._attempt.number != number:
            self._attempt = await self._prepare(status, number)
        await self._join(self._attempt)

    async def _prepare(self, status: dict[str, Any], number: int) -> Attempt:
        player, terms = self._player, self._terms
        manifest = SignedManifest.from_value(status["manifest"])
        recipients = EnclaveRecipients.from_value(status["recipients"], manifest)
        enclaves, _ = await self._enclaves(recipients)
        entries = checks.read_entries(await player.api.get_json(f"{player.base}/entries"), terms)
        own = player.entry_id
        checks.check_session(manifest, recipients, terms, entries, own, str(status["keygen_session_id"]), enclaves)
        entry_id = UUID(own)
        registration = seal_registration(
            manifest=manifest,
            recipients=recipients,
            user_id=own,
            enclave_key_epoch=enclaves[recipients.user_enclave_assignments[own]].epoch,
            participant_key=entry_key(player.keys.secret, entry_id, number),
            slot_key=slot_key(player.keys.secret, entry_id),
            require_signing_approval=True,
        )
        player.sealing = Sealing(number, status["manifest"], status["recipients"], registration.to_json())
        player.keep()
        return Attempt(number, manifest, recipients, registration)

    async def _join(self, attempt: Attempt) -> None:
        player = self._player
        await player.api.post(
            f"{player.base}/keymeld/join",
            {
                "entry_id": player.entry_id,
                "attempt": attempt.number,
                "registration": msgspec.json.decode(attempt.registration.authorization.to_json()),
                "ciphertext": attempt.registration.ciphertext.hex(),
                "salt": picks_salt(player.keys.secret, UUID(player.entry_id)).reveal().hex(),
                "picks": msgspec.to_builtins(sorted_picks(player.picks)),
            },
            signed=True,
        )
        attempt.joined = True
        player.say(f"sealed its key for attempt {attempt.number} and opened its picks")

    async def _sign(self, status: dict[str, Any]) -> None:
        attempt = self._attempt
        if attempt is None or attempt.number != int(status["attempt"]) or not attempt.joined:
            return
        sessions = tuple((str(s["session"]), s["replaces"]) for s in status["signing_sessions"])
        names = tuple(session for session, _ in sessions)
        if attempt.ready_for != names:
            try:
                await self._compare(attempt, status, sessions)
            except NotSetUp:
                return
        if status["approvals_wanted"]:
            await self._approve(attempt, set(names) - set(status["approved"]) - self._replaced(sessions))

    @staticmethod
    def _replaced(sessions: tuple[tuple[str, str | None], ...]) -> set[str]:
        return {replaced for _, replaced in sessions if replaced is not None}

    async def _compare(self, attempt: Attempt, status: dict[str, Any], sessions: tuple[tuple[str, Any], ...]) -> None:
        """Derive the contract, read every batch from the gateway, compare every item; only then say ready."""
        player, terms = self._player, self._terms
        roster = self._verify_roster(attempt, status)
        user = attempt.user
        if user is None or attempt.secret is None:
            raise NotSetUp("session", "has no secret yet", "ask again")
        entries = checks.read_entries(await player.api.get_json(f"{player.base}/entries"), terms)
        coordinator = attempt.manifest.manifest.coordinator_user_id
        order = sorted(u for u in attempt.manifest.manifest.users if u != coordinator)
        event_id = str(terms.oracle.event_ids[attempt.number])
        statement, stated = await self._oracle.statement(event_id)
        nonce = checks.check_statement(statement, stated, terms, attempt.number, entries, order)
        document = await player.api.get_json(f"{player.base}/contract")
        market_maker = roster.signed.roster.participants[coordinator]
        contract = checks.check_contract(document, terms, attempt.number, entries, order, nonce, market_maker)
        _, now = await self._enclaves(attempt.recipients)
        items = {name: await self._gateway.batch(user, name, now) for name, _ in sessions}
        audit_sessions(
            [OpenSession(name, replaces, items[name]) for name, replaces in sessions],
            expected=contract.signing_items(),
            roster=roster,
            session_secret=attempt.secret,
            max_signing_sessions=attempt.manifest.manifest.max_signing_sessions or 0,
        )
        attempt.items = items
        player.outpoint = str(contract.outpoint)
        player.keep()
        current = sorted(set(items) - self._replaced(sessions))
        body = {"entry_id": player.entry_id, "attempt": attempt.number, "sessions": current}
        await player.api.post(f"{player.base}/keymeld/ready", body, signed=True)
        attempt.ready_for = tuple(name for name, _ in sessions)
        player.say(f"compared {sum(map(len, items.values()))} signing items with its own contract: all equal")

    def _verify_roster(self, attempt: Attempt, status: dict[str, Any]) -> VerifiedRoster:
        if attempt.roster is not None:
            return attempt.roster
        if status["encrypted_session_secret"] is None or status["roster"] is None:
            raise NotSetUp("session", str(status["secret_withheld"]), "ask again")
        player = self._player
        key = nip44.conversation_key(player.keys.identity, bytes.fromhex(self._terms.coordinator_key))
        secret = Secret(bytes.fromhex(nip44.decrypt(status["encrypted_session_secret"], key)))
        access = audit_session_secret(attempt.manifest, secret)
        signed = SignedRoster.from_json(msgspec.json.encode(status["roster"]))
        expectation = RosterExpectation(
            manifest=attempt.manifest,
            recipients=attempt.recipients,
            participants=signed.roster.participants,
            own=attempt.registration.authorization,
        )
        attempt.roster = verify_roster(signed, expectation)
        attempt.secret = secret
        own_key = entry_key(player.keys.secret, UUID(player.entry_id), attempt.number)
        attempt.user = UserAccess(access, player.entry_id, own_key)
        return attempt.roster

    async def _approve(self, attempt: Attempt, wanted: set[str]) -> None:
        if not wanted or attempt.user is None or attempt.items is None:
            return
        player, user, items = self._player, attempt.user, attempt.items
        _, now = await self._enclaves(attempt.recipients)
        approvals = [
            {
                "signing_session_id": name,
                "approval": msgspec.json.decode(ParticipantApproval.sign(user, name, items[name], now).to_json()),
                "x_user_signature": user.header(name, now),
            }
            for name in sorted(wanted)
        ]
        body = {"entry_id": player.entry_id, "attempt": attempt.number, "approvals": approvals}
        await player.api.post(f"{player.base}/keymeld/approvals", body, signed=True)
        player.say(f"approved {len(approvals)} batches")
