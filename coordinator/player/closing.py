"""The closing, one step at a time: seal and open, compare every item, say ready, approve (money section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

from coordinator.player import checks
from coordinator.player.answers import received_from
from coordinator.player.gateway import Enclave, Gateway, NotSetUp
from coordinator.player.http import MAX_CONTRACT_BYTES
from coordinator.player.oracle import OracleReader
from coordinator.player.tickets import sign_own
from coordinator.player.wire.closing import Accepted, ClosingStatus, NamedSession
from coordinator.player.wire.competition import ContractDocument, ListedEntry
from coordinator_core.competition.picks import sorted_picks
from coordinator_core.competition.player_keys import entry_key, picks_salt, slot_key
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc.contract import Contract
from coordinator_core.errors import Fault
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
from coordinator_core.transaction import bytes_from_hex
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
        path = f"{player.base}/keymeld/status?entry={player.entry_id}"
        status = await player.api.read(path, ClosingStatus, signed=True)
        self.attempt = status.attempt
        if status.closing_done:
            self.returned = status.signing_status != "signed" or not status.in_attempt
            return True
        if status.in_attempt and status.attempt is not None:
            await self._attend(status, status.attempt)
        return False

    async def _attend(self, status: ClosingStatus, number: int) -> None:
        kept = self._player.sealing
        checks.require(kept is None or number >= kept.attempt, "keymeld/status", "goes back to an earlier attempt")
        if self._attempt is None:
            self._recall(number, joined=status.sealed)
        if status.keygen_status == "sealing":
            await self._seal(status, number)
        elif status.signing_sessions:
            await self._sign(status, number)

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

    async def _entries(self) -> dict[str, checks.OtherEntry]:
        """Every entry, this player's among them as it signed it."""
        player = self._player
        listed = await player.api.read(f"{player.base}/entries", tuple[ListedEntry, ...])
        entries = checks.read_entries(listed, self._terms)
        checks.check_own_entry(entries, sign_own(player, self._terms, player.ticket_hash, 0))
        return entries

    async def _seal(self, status: ClosingStatus, number: int) -> None:
        if self._attempt is not None and self._attempt.number == number and self._attempt.joined:
            return
        if self._attempt is None or self._attempt.number != number:
            self._attempt = await self._prepare(status, number)
        await self._join(self._attempt)

    async def _prepare(self, status: ClosingStatus, number: int) -> Attempt:
        player, terms, own = self._player, self._terms, self._player.entry_id
        manifest, recipients = _session(status)
        enclaves, _ = await self._enclaves(recipients)
        entries = await self._entries()
        session_id = str(status.keygen_session_id)
        checks.check_session(manifest, recipients, terms, entries, own, session_id, enclaves)
        self._see(entries, _players(manifest))
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
        player.sealing = Sealing(number, status.manifest or {}, status.recipients or {}, registration.to_json())
        player.keep()
        return Attempt(number, manifest, recipients, registration)

    def _see(self, entries: dict[str, checks.OtherEntry], players: list[str]) -> None:
        """Remember the others' entries before the first opening of our picks; afterwards nobody may change one."""
        player = self._player
        if not player.entries_seen:
            player.entries_seen = {user: entries[user].entry.event.id for user in players}
        checks.check_first_seen(entries, player.entries_seen, players)

    async def _join(self, attempt: Attempt) -> None:
        player = self._player
        await player.api.send(
            f"{player.base}/keymeld/join",
            {
                "entry_id": player.entry_id,
                "attempt": attempt.number,
                "registration": msgspec.json.decode(attempt.registration.authorization.to_json()),
                "ciphertext": attempt.registration.ciphertext.hex(),
                "salt": picks_salt(player.keys.secret, UUID(player.entry_id)).reveal().hex(),
                "picks": msgspec.to_builtins(sorted_picks(player.picks)),
            },
            Accepted,
            signed=True,
        )
        attempt.joined = True
        player.say(f"sealed its key for attempt {attempt.number} and opened its picks")

    async def _sign(self, status: ClosingStatus, number: int) -> None:
        attempt = self._attempt
        if attempt is None or attempt.number != number or not attempt.joined:
            return
        names = tuple(one.session for one in status.signing_sessions)
        if attempt.ready_for != names:
            try:
                await self._compare(attempt, status)
            except NotSetUp:
                return
        if status.approvals_wanted:
            await self._approve(attempt, set(names) - set(status.approved) - _replaced(status.signing_sessions))

    async def _compare(self, attempt: Attempt, status: ClosingStatus) -> None:
        """Derive the contract, read every batch from the gateway, compare every item; only then say ready."""
        player, sessions = self._player, status.signing_sessions
        roster = self._verify_roster(attempt, status)
        user, secret = attempt.user, attempt.secret
        if user is None or secret is None:
            raise NotSetUp("session", "has no secret yet", "ask again")
        contract = await self._derive(attempt, roster)
        _, now = await self._enclaves(attempt.recipients)
        items = {one.session: await self._gateway.batch(user, one.session, now) for one in sessions}
        with received_from(Fault.COORDINATOR):
            audit_sessions(
                [OpenSession(one.session, one.replaces, items[one.session]) for one in sessions],
                expected=contract.signing_items(),
                roster=roster,
                session_secret=secret,
                max_signing_sessions=attempt.manifest.manifest.max_signing_sessions or 0,
            )
        attempt.items = items
        player.contract = contract.digest.hex()
        player.keep()
        current = sorted(set(items) - _replaced(sessions))
        body = {"entry_id": player.entry_id, "attempt": attempt.number, "sessions": current}
        await player.api.send(f"{player.base}/keymeld/ready", body, Accepted, signed=True)
        attempt.ready_for = tuple(one.session for one in sessions)
        player.say(f"compared {sum(map(len, items.values()))} signing items with its own contract: all equal")

    async def _derive(self, attempt: Attempt, roster: VerifiedRoster) -> Contract:
        """The contract out of terms, the entries as they were first seen, and the oracle's own statement."""
        player, terms, number = self._player, self._terms, attempt.number
        order = _players(attempt.manifest)
        entries = await self._entries()
        checks.require(set(order) <= entries.keys(), "entries", "lack a player of the session")
        checks.check_first_seen(entries, player.entries_seen, order)
        statement, stated = await self._oracle.statement(str(terms.oracle.event_ids[number]))
        nonce = checks.check_statement(statement, stated, terms, number, entries, order)
        document = await player.api.read(f"{player.base}/contract", ContractDocument, limit=MAX_CONTRACT_BYTES)
        market_maker = roster.signed.roster.participants[attempt.manifest.manifest.coordinator_user_id]
        return checks.check_contract(document, terms, number, entries, order, nonce, market_maker)

    def _verify_roster(self, attempt: Attempt, status: ClosingStatus) -> VerifiedRoster:
        if attempt.roster is not None:
            return attempt.roster
        if status.encrypted_session_secret is None or status.roster is None:
            raise NotSetUp("session", str(status.secret_withheld), "ask again")
        player = self._player
        with received_from(Fault.COORDINATOR):
            key = nip44.conversation_key(player.keys.identity, bytes.fromhex(self._terms.coordinator_key))
            text = nip44.decrypt(status.encrypted_session_secret, key)
            secret = Secret(bytes_from_hex(text, 32, "encrypted_session_secret"))
            access = audit_session_secret(attempt.manifest, secret)
            signed = SignedRoster.from_json(msgspec.json.encode(status.roster))
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
        await player.api.send(f"{player.base}/keymeld/approvals", body, Accepted, signed=True)
        player.say(f"approved {len(approvals)} batches")


def _session(status: ClosingStatus) -> tuple[SignedManifest, EnclaveRecipients]:
    with received_from(Fault.COORDINATOR):
        manifest = SignedManifest.from_value(status.manifest)
        return manifest, EnclaveRecipients.from_value(status.recipients, manifest)


def _players(manifest: SignedManifest) -> list[str]:
    """Entry ids in the order of the contract."""
    return [user for user in manifest.manifest.users if user != manifest.manifest.coordinator_user_id]


def _replaced(sessions: tuple[NamedSession, ...]) -> set[str]:
    return {one.replaces for one in sessions if one.replaces is not None}
