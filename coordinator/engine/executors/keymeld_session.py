"""keymeld, keygen part: open a session, hand the players' sealed keys over, verify the roster (money section 5)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from coordinator.domain.duties import AwaitRoster, OpenSession, RegisterPlayer
from coordinator.domain.facts import (
    AttemptFault,
    Attended,
    Entry,
    Fact,
    Keygen,
    Queued,
    Registered,
    Seal,
    SessionOpen,
    Ticket,
)
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.services import Services
from coordinator.engine.turns import Turns
from coordinator.ports.keymeld import (
    EnclaveChanged,
    EnclaveKey,
    NotReady,
    RegistrationRefused,
    SessionFailed,
    SessionGone,
    SessionTaken,
    SlotTaken,
)
from coordinator_core.errors import Misuse
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import (
    RegistrationAuthorization,
    SealedRegistration,
    accept_registration,
)
from coordinator_core.keymeld.roster import RosterExpectation
from coordinator_core.nostr import nip44

POLL_SECONDS = 0.3
NOSTR_PURPOSE = "nostr"


class PinnedEnclaves(Struct, frozen=True):
    """Enclave keys of an attempt as served before anything was sealed to them."""

    keys: tuple[EnclaveKey, ...]


class PinnedAssignments(Struct, frozen=True):
    """Who is assigned to which enclave, as reserved."""

    assignments: Mapping[str, int]
    coordinator_enclave: int


async def credentials(services: Services, lane: str, attempt: int) -> SessionCredentials:
    """The session's secret, creator key and slot key: stored before the first call."""
    stored = await services.secret(lane, f"keymeld/{attempt}", lambda: SessionCredentials.generate().to_secret())
    return SessionCredentials.from_secret(stored)


def session_open(lane: Lane, attempt: int) -> SessionOpen:
    """The session of an attempt. Raises Misuse before it is open."""
    opened = lane.facts.get(SessionOpen, attempt)
    if opened is None:
        raise Misuse(f"attempt {attempt} has no session")
    return opened


def entry_key(lane: Lane, entry_id: str, attempt: int) -> bytes:
    """The entry key of an attempt from the player's signed entry. Raises Misuse."""
    entry = lane.facts.get(Entry, entry_id)
    if entry is None:
        raise Misuse(f"entry {entry_id} was never signed")
    return bytes.fromhex(entry.entry_keys[attempt - 1])


class OpenSessionExecutor:
    """Reserve, initialize, register the market maker's key; every random value is pinned before it leaves."""

    def __init__(self, services: Services, turns: Turns | None = None) -> None:
        self._s = services
        self._turns = turns

    async def __call__(self, task: Task[OpenSession]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        if (pause := await self._pause(task.lane)) is not None:
            return Again(pause, [Queued(attempt=duty.attempt, since=self._s.clock.wall())])
        try:
            return Done([await self._open(task, duty)])
        except (SessionTaken, SessionFailed, SessionGone, EnclaveChanged, SlotTaken) as error:
            return Done([AttemptFault(attempt=duty.attempt, reason=error.reason)])

    async def _pause(self, lane: Lane) -> float | None:
        """Seconds until it asks again whether it is its turn; None when it is."""
        if self._turns is None:
            return None
        turn = await self._turns.ask(lane.id, lane.terms.schedule.entries_close)
        return turn.pause if turn.ahead else None

    async def _open(self, task: Task[OpenSession], duty: OpenSession) -> SessionOpen:
        s, lane = self._s, task.lane
        held = await credentials(s, lane.id, duty.attempt)
        user_id = (await s.pinned(f"{lane.id}/keymeld", "user", lambda: str(uuid.uuid4()).encode())).decode()
        pinned = msgspec.json.decode(await s.pinned(task.id, "enclaves", self._enclaves), type=PinnedEnclaves)
        text = await s.pinned(task.id, "manifest", lambda: self._manifest(lane, duty, held, user_id))
        manifest = SignedManifest.from_json(text)
        reserved = msgspec.json.decode(
            await s.pinned(task.id, "assignments", lambda: self._reserve(held, manifest, pinned)),
            type=PinnedAssignments,
        )
        key = s.secrets.market_maker_key(lane.id)
        epochs = {enclave.enclave_id: enclave.key_epoch for enclave in pinned.keys}
        start = await s.pinned(
            task.id,
            "initialization",
            lambda: (
                Initialization.sign(
                    manifest,
                    EnclaveRecipients.sign(
                        manifest,
                        reserved.assignments,
                        {enclave.enclave_id: enclave.public_key for enclave in pinned.keys},
                        held.creator_key,
                    ),
                    session_secret=held.session_secret,
                    coordinator_pubkey=key.public_key,
                    enclave_key_epoch=epochs[reserved.coordinator_enclave],
                    creator_key=held.creator_key,
                )
                .to_json()
                .encode()
            ),
        )
        initialization = Initialization.from_json(start, manifest)
        access = held.access(manifest.manifest.keygen_session_id)
        await s.keymeld.initialize(access, manifest, initialization)
        own = await s.pinned(
            task.id,
            "registration",
            lambda: (
                seal_registration(
                    manifest=manifest,
                    recipients=initialization.recipients,
                    user_id=user_id,
                    enclave_key_epoch=epochs[initialization.recipients.user_enclave_assignments[user_id]],
                    participant_key=key,
                    slot_key=held.slot_key,
                    require_signing_approval=False,
                )
                .to_json()
                .encode()
            ),
        )
        await s.keymeld.register(access, SealedRegistration.from_json(own))
        return SessionOpen(
            attempt=duty.attempt,
            session_id=manifest.manifest.keygen_session_id,
            user_id=user_id,
            manifest=text.decode(),
            recipients=initialization.recipients.to_json(),
            epochs=tuple(sorted(epochs.items())),
            registration=own.decode(),
            opened_at=s.clock.wall(),
            roster=duty.roster,
        )

    async def _enclaves(self) -> bytes:
        return msgspec.json.encode(PinnedEnclaves(await self._s.keymeld.enclaves()))

    async def _reserve(self, held: SessionCredentials, manifest: SignedManifest, pinned: PinnedEnclaves) -> bytes:
        access = held.access(manifest.manifest.keygen_session_id)
        reservation = await self._s.keymeld.reserve(access, manifest, pinned.keys)
        return msgspec.json.encode(PinnedAssignments(reservation.assignments, reservation.coordinator_enclave))

    @staticmethod
    def _manifest(lane: Lane, duty: OpenSession, held: SessionCredentials, user_id: str) -> bytes:
        entries = {e: lane.facts.get(Entry, e) for e in duty.roster}
        slot_keys = {e: bytes.fromhex(entry.slot_key) for e, entry in entries.items() if entry is not None}
        manifest = held.sign_manifest(
            keygen_session_id=str(uuid.uuid4()),
            coordinator_user_id=user_id,
            slot_keys=slot_keys,
            places=lane.terms.places,
        )
        return manifest.to_json().encode()


def sealed_registration(lane: Lane, seal: Seal) -> SealedRegistration:
    """A player's registration, checked by us. Raises InvalidInput or VerificationFailed, both the player's fault."""
    opened = session_open(lane, seal.attempt)
    manifest = SignedManifest.from_json(opened.manifest)
    return accept_registration(
        RegistrationAuthorization.from_json(seal.registration),
        bytes.fromhex(seal.ciphertext),
        manifest=manifest,
        recipients=EnclaveRecipients.from_json(opened.recipients, manifest),
        enclave_key_epochs=dict(opened.epochs),
        user_id=seal.entry_id,
        public_key=entry_key(lane, seal.entry_id, seal.attempt),
    )


class RegisterPlayerExecutor:
    """Hand one sealed key over. The same registration again has no effect at the gateway."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[RegisterPlayer]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        seal = task.lane.facts.get(Seal, f"{duty.attempt}/{duty.entry_id}")
        if seal is None:
            raise Misuse(f"entry {duty.entry_id} has not sealed in attempt {duty.attempt}")
        opened = session_open(task.lane, duty.attempt)
        held = await credentials(self._s, task.lane.id, duty.attempt)
        facts: list[Fact] = [Registered(attempt=duty.attempt, entry_id=duty.entry_id)]
        if (ticket := task.lane.facts.get(Ticket, duty.entry_id)) is not None:
            facts.append(Attended(player=ticket.player, at=self._s.clock.wall()))
        try:
            await self._s.keymeld.register(held.access(opened.session_id), sealed_registration(task.lane, seal))
        except RegistrationRefused as error:
            facts = [Registered(attempt=duty.attempt, entry_id=duty.entry_id, refusal=error.reason)]
        except (EnclaveChanged, SessionGone, SessionFailed, SlotTaken) as error:
            return Done([AttemptFault(attempt=duty.attempt, reason=error.reason)])
        return Done(facts)


def expectation(services: Services, lane: Lane, attempt: int) -> RosterExpectation:
    """What the roster of an attempt has to be."""
    opened = session_open(lane, attempt)
    manifest = SignedManifest.from_json(opened.manifest)
    keys = {entry_id: entry_key(lane, entry_id, attempt) for entry_id in opened.roster}
    keys[opened.user_id] = services.secrets.market_maker_key(lane.id).public_key
    return RosterExpectation(
        manifest=manifest,
        recipients=EnclaveRecipients.from_json(opened.recipients, manifest),
        participants=keys,
        own=SealedRegistration.from_json(opened.registration).authorization,
    )


class AwaitRosterExecutor:
    """Poll keygen; the roster and every aggregate are recomputed before anything is built on them."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[AwaitRoster]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        opened = session_open(task.lane, duty.attempt)
        held = await credentials(self._s, task.lane.id, duty.attempt)
        try:
            verified = await self._s.keymeld.roster(
                held.access(opened.session_id), expectation(self._s, task.lane, duty.attempt)
            )
        except NotReady:
            return Again(POLL_SECONDS)
        except (SessionFailed, SessionGone, EnclaveChanged) as error:
            return Done([AttemptFault(attempt=duty.attempt, reason=error.reason)])
        shared = tuple(self._share(task.lane, held, entry_id) for entry_id in opened.roster)
        roster = verified.signed.to_json()
        return Done([Keygen(attempt=duty.attempt, roster=roster, encrypted_session_secrets=shared)])

    def _share(self, lane: Lane, held: SessionCredentials, entry_id: str) -> tuple[str, str]:
        """The session secret, NIP-44 to the player's Nostr key."""
        ticket = lane.facts.get(Ticket, entry_id)
        if ticket is None:
            raise Misuse(f"entry {entry_id} has no ticket")
        own = self._s.secrets.signing_key(NOSTR_PURPOSE)
        key = nip44.conversation_key(own, bytes.fromhex(ticket.player))
        return entry_id, nip44.encrypt(held.session_secret.reveal().hex(), key)
