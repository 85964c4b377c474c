"""The keygen calls: enclaves, reserve, initialize, register, status, roster (keymeld sections 4.1 to 4.4 and 4.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coordinator.adapters.http import Reply
from coordinator.adapters.keymeld.answers import (
    from_gateway,
    read_enclave,
    read_enclave_ids,
    read_keygen_status,
    read_reservation,
    read_slots,
)
from coordinator.adapters.keymeld.connection import SERVICE, Connection, Refusal
from coordinator.ports.faults import Rejected
from coordinator.ports.keymeld import (
    EnclaveChanged,
    EnclaveKey,
    KeygenState,
    KeygenStatus,
    NotReady,
    RegistrationRefused,
    Reservation,
    SessionFailed,
    SessionGone,
    SessionTaken,
    Slot,
    SlotTaken,
)
from coordinator_core.errors import Fault
from coordinator_core.keymeld.access import SessionAccess
from coordinator_core.keymeld.canonical import canonical_json, integers
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import Members, as_object
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import RosterExpectation, VerifiedRoster, open_roster
from coordinator_core.units import UnixTime

SESSION_HEADER = "X-Session-Signature"
FAILED_TEXT = "failed session"


class KeygenCalls:
    """The keygen half of the port."""

    _connection: Connection

    async def gateway_time(self) -> UnixTime:
        """The gateway's clock."""
        return await self._connection.now()

    async def enclaves(self) -> tuple[EnclaveKey, ...]:
        """All healthy enclaves with their present keys and epochs, by ascending id."""
        reply = await self._connection.get("/enclaves")
        if not reply.ok:
            raise Refusal.of(reply).rejected()
        keys = [await self._enclave(enclave_id) for enclave_id in read_enclave_ids(reply.json())]
        return tuple(key for key in keys if key.healthy)

    async def reserve(
        self, session: SessionAccess, manifest: SignedManifest, pinned: Sequence[EnclaveKey]
    ) -> Reservation:
        """Reserve a session, or read the reservation of this manifest back once it was initialized."""
        reply = await self._connection.post("/keygen/reserve", _reserve_body(manifest))
        if reply.ok:
            return read_reservation(reply.json(), manifest, {key.enclave_id: key for key in pinned})
        refusal = Refusal.of(reply)
        if refusal.status == 409 or refusal.says("already exists"):
            return await self._reserved_before(session, manifest)
        raise refusal.rejected(fault=Fault.COORDINATOR)

    async def initialize(
        self, session: SessionAccess, manifest: SignedManifest, initialization: Initialization
    ) -> None:
        """Open a reserved session; once more with the same recipients has no effect."""
        initialization.verify(manifest)
        path = f"/keygen/{session.keygen_session_id}/initialize"
        reply = await self._connection.post(path, initialization.payload())
        if reply.ok:
            return
        refusal = Refusal.of(reply)
        if refusal.status == 404:
            raise _of(SessionGone, refusal)
        status = await self._status_if_open(session)
        if status is not None:
            if status.recipients == initialization.recipients:
                return
            raise _of(SessionTaken, refusal)
        enclave = initialization.recipients.user_enclave_assignments[manifest.manifest.coordinator_user_id]
        sealed_to = initialization.recipients.recipient_public_keys[enclave]
        await self._require_unchanged(enclave, sealed_to, initialization.enclave_key_epoch, refusal)
        raise _of(SessionGone, refusal) if refusal.status == 409 else refusal.rejected(fault=Fault.COORDINATOR)

    async def register(self, session: SessionAccess, registration: SealedRegistration) -> None:
        """Claim a slot; the same registration again has no effect."""
        context = registration.authorization.context
        header = session.header(await self._connection.now())
        path = f"/keygen/{session.keygen_session_id}/participants"
        body = _registration_body(session, registration)
        reply = await self._connection.post(path, body, {SESSION_HEADER: header})
        if reply.ok:
            return
        refusal = Refusal.of(reply)
        if refusal.status == 404:
            raise _of(SessionGone, refusal)
        if refusal.status == 401:
            # Slot signature and user were verified before; what is left is our header.
            raise refusal.rejected(fault=Fault.COORDINATOR)
        sealed_to = registration.enclave_public_key
        await self._require_unchanged(context.enclave_id, sealed_to, context.enclave_key_epoch, refusal)
        if refusal.status == 409:
            await self._settle_conflict(session, context.user_id, refusal)
            return
        raise _of(RegistrationRefused, refusal, fault=Fault.PLAYER)

    async def slots(self, session: SessionAccess) -> tuple[Slot, ...]:
        """All slots with their enclaves."""
        reply = await self._read(session, "slots")
        if reply.ok:
            return read_slots(reply.json())
        raise self._unread(Refusal.of(reply))

    async def keygen_status(self, session: SessionAccess) -> KeygenStatus:
        """Where the keygen stands."""
        reply = await self._read(session, "status")
        if reply.ok:
            return read_keygen_status(reply.json(), session.keygen_session_id)
        refusal = Refusal.of(reply)
        if refusal.status == 400 and refusal.says("reserved"):
            return KeygenStatus(KeygenState.RESERVED, 0, 0, None, None)
        if refusal.status == 400 and refusal.says(FAILED_TEXT):
            return KeygenStatus(KeygenState.FAILED, 0, 0, None, None)
        raise self._unread(refusal)

    async def roster(self, session: SessionAccess, expectation: RosterExpectation) -> VerifiedRoster:
        """The verified roster of a completed keygen."""
        reply = await self._read(session, "status")
        if not reply.ok:
            raise self._unread(Refusal.of(reply))
        value = reply.json()
        status = read_keygen_status(value, session.keygen_session_id)
        if status.state is KeygenState.FAILED:
            raise SessionFailed(SERVICE, "the keygen failed", fault=Fault.SIGNER)
        if status.state is not KeygenState.COMPLETED:
            raise NotReady(SERVICE, f"{status.registered} of {status.expected} keys", fault=Fault.PLAYER)
        names = ("encrypted_roster", "aggregate_public_key", "encrypted_subset_aggregates")
        with from_gateway("roster"):
            answer = Members(value, "status", names, only=False)
            return open_roster(
                session.session_secret,
                expectation,
                encrypted_roster=answer.raw("encrypted_roster"),
                encrypted_aggregate=answer.raw("aggregate_public_key"),
                encrypted_subset_aggregates=as_object(
                    answer.raw("encrypted_subset_aggregates"), answer.path("encrypted_subset_aggregates")
                ),
            )

    async def _enclave(self, enclave_id: int) -> EnclaveKey:
        return read_enclave(await self._connection.enclave(enclave_id), enclave_id)

    async def _read(self, session: SessionAccess, what: str) -> Reply:
        path = f"/keygen/{session.keygen_session_id}/{what}"
        return await self._connection.get(path, (SESSION_HEADER, session.header))

    def _unread(self, refusal: Refusal) -> Exception:
        if refusal.status == 404:
            return _of(SessionGone, refusal)
        if refusal.status == 400 and refusal.says(FAILED_TEXT):
            return _of(SessionFailed, refusal)
        return refusal.rejected()

    async def _status_if_open(self, session: SessionAccess) -> KeygenStatus | None:
        try:
            status = await self.keygen_status(session)
        except SessionGone:
            return None
        return status if status.manifest is not None else None

    async def _reserved_before(self, session: SessionAccess, manifest: SignedManifest) -> Reservation:
        status = await self._status_if_open(session)
        if status is None or status.manifest != manifest or status.recipients is None:
            raise SessionTaken(SERVICE, "the session id is in use", fault=Fault.COORDINATOR)
        assignments = dict(status.recipients.user_enclave_assignments)
        return Reservation(assignments, assignments[manifest.manifest.coordinator_user_id], UnixTime(0))

    async def _settle_conflict(self, session: SessionAccess, user_id: str, refusal: Refusal) -> None:
        # While collecting, a byte-identical repetition is answered 200, so "claimed" means by another
        # registration. After collecting, a claimed slot may be ours: the roster shows whose it is.
        status = await self.keygen_status(session)
        if status.state is KeygenState.FAILED:
            raise _of(SessionFailed, refusal)
        claimed = any(slot.claimed for slot in await self.slots(session) if slot.user_id == user_id)
        if status.state is KeygenState.COMPLETED and claimed:
            return
        raise _of(SlotTaken if claimed else SessionGone, refusal)

    async def _require_unchanged(self, enclave_id: int, key: bytes, epoch: int, refusal: Refusal) -> None:
        served = await self._enclave(enclave_id)
        if served.public_key != key or served.key_epoch != epoch:
            raise _of(EnclaveChanged, refusal)


def _of(kind: Callable[..., Rejected], refusal: Refusal, *, fault: Fault = Fault.SIGNER) -> Rejected:
    return kind(SERVICE, f"{refusal.status} {refusal.message}", fault=fault, remote_code=refusal.kind)


def _reserve_body(signed: SignedManifest) -> dict[str, object]:
    manifest = signed.manifest
    return {
        "authorization_manifest": signed.payload(),
        "keygen_session_id": manifest.keygen_session_id,
        "coordinator_user_id": manifest.coordinator_user_id,
        "expected_participants": list(manifest.users),
        "timeout_secs": manifest.timeout_secs,
        "max_signing_sessions": manifest.max_signing_sessions,
        "encrypted_taproot_tweak": manifest.encrypted_taproot_tweak,
        "subset_definitions": [subset.payload() for subset in manifest.subset_definitions],
    }


def _registration_body(session: SessionAccess, registration: SealedRegistration) -> dict[str, object]:
    context = registration.authorization.context
    keys = {"participant_public_keys": {context.user_id: integers(context.public_key)}}
    # The nonce follows from the registration, so that a repetition is byte-identical; the plaintext does too.
    session_data = encrypt_field(
        session.session_secret,
        Context.KEYGEN_PARTICIPANT_SESSION,
        canonical_json(keys),
        nonce=registration.authorization.digest[:12],
    )
    return {
        "registration_authorization": registration.authorization.payload(),
        "keygen_session_id": session.keygen_session_id,
        "user_id": context.user_id,
        "encrypted_private_key": registration.ciphertext.hex(),
        "public_key": integers(context.public_key),
        "encrypted_session_data": session_data,
        "enclave_public_key": registration.enclave_public_key.hex(),
        "enclave_key_epoch": context.enclave_key_epoch,
        "require_signing_approval": context.require_signing_approval,
        "auth_pubkey": integers(context.auth_pubkey),
    }
