"""A keymeld gateway behind its port: sessions, slots, batches and approvals as data. Envelopes are opened with the
enclaves' keys, and what is signed is signed with the keys found in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coordinator.ports import keymeld as km
from coordinator.ports.faults import Unreachable
from coordinator_core.errors import CoreError, Fault
from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.canonical import sign_authorization
from coordinator_core.keymeld.envelope import open_registration
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import (
    ROSTER_DOMAIN,
    ParticipantRoster,
    RosterExpectation,
    SignedRoster,
    VerifiedRoster,
    verify_roster,
)
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner, verify_batch
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

COORDINATOR_ENCLAVE = 7
EPOCH = 3


def refusal(kind: Callable[..., Exception], reason: str = "no", fault: Fault = Fault.SIGNER) -> Exception:
    """An error of the port, as the gateway's client raises it."""
    return kind("keymeld", reason, fault=fault)


@dataclass
class Session:
    """One keygen session."""

    manifest: SignedManifest
    started: Initialization | None = None
    registered: dict[str, SealedRegistration] = field(default_factory=dict[str, SealedRegistration])
    keys: dict[str, SecretKey] = field(default_factory=dict[str, SecretKey])


@dataclass
class BookKeymeld:
    """`lost` names calls whose next answer does not arrive although they had their effect; `refusals` what a call
    raises instead of having one."""

    time: int
    enclave_keys: dict[int, SecretKey] = field(
        default_factory=lambda: {n: SecretKey.from_bytes(bytes([0x20 + n]) * 32) for n in (1, 7)}
    )
    sessions: dict[str, Session] = field(default_factory=dict[str, Session])
    batches: dict[str, SignedBatch] = field(default_factory=dict[str, SignedBatch])
    approved: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    headers: list[str] = field(default_factory=list[str])
    calls: list[str] = field(default_factory=list[str])
    lost: set[str] = field(default_factory=set[str])
    refusals: dict[str, Exception] = field(default_factory=dict[str, Exception])
    spoil: bool = False
    """One signature of the next batch is wrong."""
    alter: Callable[[ParticipantRoster], ParticipantRoster] | None = None
    """What the coordinator's enclave makes of the roster before it signs it."""

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        if call in self.refusals:
            raise self.refusals[call]

    def _answer(self, call: str) -> None:
        if call in self.lost:
            self.lost.remove(call)
            raise Unreachable("keymeld", "no answer", fault=Fault.SIGNER)

    def _session(self, access: SessionAccess) -> Session:
        found = self.sessions.get(access.keygen_session_id)
        if found is None:
            raise refusal(km.SessionGone, "404 unknown session")
        assert access.public_key == found.manifest.manifest.session_public_key
        return found

    async def gateway_time(self) -> UnixTime:
        self._begin("gateway_time")
        return UnixTime(self.time)

    async def enclaves(self) -> tuple[km.EnclaveKey, ...]:
        self._begin("enclaves")
        return tuple(km.EnclaveKey(n, key.public_key, EPOCH, True, False) for n, key in self.enclave_keys.items())

    async def reserve(
        self, session: SessionAccess, manifest: SignedManifest, pinned: Sequence[km.EnclaveKey]
    ) -> km.Reservation:
        self._begin("reserve")
        known = self.sessions.get(session.keygen_session_id)
        if known is not None and (known.manifest != manifest or known.started is None):
            raise refusal(km.SessionTaken, "409 already exists")
        self.sessions.setdefault(session.keygen_session_id, Session(manifest))
        coordinator = manifest.manifest.coordinator_user_id
        players = [user for user in manifest.manifest.users if user != coordinator]
        assigned = {coordinator: COORDINATOR_ENCLAVE} | {user: (1, 7)[n % 2] for n, user in enumerate(players)}
        self._answer("reserve")
        return km.Reservation(assigned, COORDINATOR_ENCLAVE, UnixTime(self.time + 3_600))

    async def initialize(
        self, session: SessionAccess, manifest: SignedManifest, initialization: Initialization
    ) -> None:
        self._begin("initialize")
        known = self._session(session)
        if known.started not in (None, initialization):
            raise refusal(km.SessionTaken, "409 initialized otherwise")
        initialization.verify(manifest)
        known.started = initialization
        self._answer("initialize")

    async def register(self, session: SessionAccess, registration: SealedRegistration) -> None:
        self._begin("register")
        known = self._session(session)
        context = registration.authorization.context
        if known.registered.get(context.user_id, registration) != registration:
            raise refusal(km.SlotTaken, "409 claimed")
        registration.authorization.verify(known.manifest)
        try:
            opened = open_registration(registration.ciphertext, self.enclave_keys[context.enclave_id], context)
        except CoreError as error:
            raise refusal(km.RegistrationRefused, str(error), Fault.PLAYER) from error
        known.registered[context.user_id] = registration
        known.keys[context.user_id] = opened.private_key
        self._answer("register")

    async def roster(self, session: SessionAccess, expectation: RosterExpectation) -> VerifiedRoster:
        self._begin("roster")
        known = self._session(session)
        users = known.manifest.manifest.users
        if set(known.registered) != set(users):
            raise refusal(km.NotReady, "keys are missing")
        self._answer("roster")
        return verify_roster(self._signed_roster(known), expectation)

    def _signed_roster(self, known: Session) -> SignedRoster:
        terms, keys = known.manifest.manifest, {user: key.public_key for user, key in known.keys.items()}
        subsets = {s.subset_id: KeySet.aggregate([keys[u] for u in s.participants]) for s in terms.subset_definitions}
        roster = ParticipantRoster(
            keygen_session_id=terms.keygen_session_id,
            manifest_hash=known.manifest.hash,
            participants=keys,
            registrations={user: sealed.authorization for user, sealed in known.registered.items()},
            aggregate_public_key=KeySet.aggregate(list(keys.values())).public_key,
            subset_aggregate_keys={name: key_set.public_key for name, key_set in subsets.items()},
            subset_definitions=terms.subset_definitions,
        )
        roster = self.alter(roster) if self.alter is not None else roster
        enclave = self.enclave_keys[COORDINATOR_ENCLAVE]
        return SignedRoster(roster, sign_authorization(ROSTER_DOMAIN, roster.payload(), enclave), enclave.public_key)

    async def start_signing(self, user: UserAccess, batch: SignedBatch) -> None:
        self._begin("start_signing")
        known = self._session(user.session)
        batch.verify(known.manifest)
        if self.batches.get(batch.signing_session_id, batch) != batch:
            raise refusal(km.SessionTaken, "400 already exists")
        quota = known.manifest.manifest.max_signing_sessions or 0
        if len({*self.batches, batch.signing_session_id}) > quota:
            raise refusal(km.QuotaExceeded, "400 quota exceeded")
        self.batches[batch.signing_session_id] = batch
        self._answer("start_signing")

    async def start_batches(self, user: UserAccess, batches: Sequence[SignedBatch]) -> None:
        for batch in batches:
            await self.start_signing(user, batch)

    async def signing_status(self, user: UserAccess, signing_session_id: str) -> km.SigningStatus:
        self._begin("signing_status")
        approved = self.approved.get(signing_session_id, set[str]())
        self._answer("signing_status")
        return km.SigningStatus(km.SigningState.COLLECTING, (), tuple(sorted(approved)), (), b"")

    async def approve(self, forwarded: km.ForwardedApproval) -> None:
        assert forwarded.user_signature not in self.headers, "a header is used once"
        self.headers.append(forwarded.user_signature)
        self._begin("approve")
        self.approved.setdefault(forwarded.signing_session_id, set()).add(forwarded.approval.user_id)
        self._answer("approve")

    async def signatures(self, user: UserAccess, batch: SignedBatch, items: Sequence[SigningItem]) -> km.BatchOutcome:
        self._begin("signatures")
        known = self._session(user.session)
        if self.approved.get(batch.signing_session_id, set()) != set(known.keys) - {user.user_id}:
            raise refusal(km.NotReady, "approvals are missing")
        signatures = SoloSigner(list(known.keys.values())).sign(items)
        if self.spoil:
            signatures[1] = signatures[1][:-1] + bytes([signatures[1][-1] ^ 1])
        verify_batch(items, signatures)
        self._answer("signatures")
        return km.BatchOutcome(batch.signing_session_id, tuple(signatures), b'{"status":"completed"}')

    def made(self, call: str) -> int:
        """How often a call was made."""
        return self.calls.count(call)
