"""POST /keygen/{id}/participants and what follows when the last slot is claimed (keymeld sections 4.3, 4.4)."""

from __future__ import annotations

import logging
import threading

from coordinator.embedded.keymeld.enclave.commands import SealedRegistration
from coordinator.embedded.keymeld.enclave.opening import decode_hex
from coordinator.embedded.keymeld.errors import (
    BadRequest,
    Conflict,
    EnclaveRejected,
    EnclaveUnavailable,
    Unauthorized,
)
from coordinator.embedded.keymeld.gateway.authentication import SignatureHeader
from coordinator.embedded.keymeld.gateway.faults import Refuse, Silent, Slow
from coordinator.embedded.keymeld.gateway.fleet import own_registrations
from coordinator.embedded.keymeld.gateway.records import KeygenRecord, KeygenState
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator.embedded.keymeld.gateway.wire import Answer, RegisterRequest
from coordinator_core.errors import CoreError

_log = logging.getLogger(__name__)


class RegistrationService:
    """Registers participants and completes the keygen."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._completing: set[str] = set()

    def register(self, keygen_id: str, request: RegisterRequest, header: SignatureHeader) -> Answer:
        """Claim a slot, after every check of section 4.3 in its order."""
        services = self._services
        _check_shape(keygen_id, request)
        record = services.keygens.get(keygen_id)
        services.headers.session(header, keygen_id, record.manifest.session_key, services.clock())
        self._check_collecting(record)
        if request.user_id not in record.assignments.users:
            raise Unauthorized("Participant is not expected in this session")
        _check_slot(record, request)
        self._check_enclave(record, request)
        _check_context(record, request)
        self._validate_in_enclave(record, request)
        claimed = services.keygens.claim(keygen_id, request)
        if claimed == len(record.expected):
            self.start_completion(keygen_id)
        return {
            "keygen_session_id": keygen_id,
            "user_id": request.user_id,
            "status": record.state,
            "participants_registered": claimed,
            "expected_participants": len(record.expected),
            "signer_index": record.expected.index(request.user_id),
            "assigned_enclave_id": record.assignments.users[request.user_id],
            "require_signing_approval": request.require_signing_approval,
        }

    def start_completion(self, keygen_id: str) -> None:
        """Queue the completion, once."""
        faults = self._services.faults
        with self._lock:
            if keygen_id in self._completing:
                return
            self._completing.add(keygen_id)
        if faults.take(Silent, "keygen", keygen_id):
            return
        slow = faults.take(Slow, "keygen", keygen_id)
        delay = slow.seconds if isinstance(slow, Slow) else 0.0
        self._services.jobs.submit(lambda: self._complete(keygen_id), delay)

    def resume(self) -> None:
        """After a restart: complete what had every slot claimed."""
        keygens = self._services.keygens
        for keygen_id in keygens.in_state(KeygenState.COLLECTING):
            if len(keygens.participants(keygen_id)) == len(keygens.get(keygen_id).expected):
                self.start_completion(keygen_id)

    def _complete(self, keygen_id: str) -> None:
        try:
            self._exchange(self._services.keygens.get(keygen_id))
        except CoreError as error:
            # An enclave said no: clients read it from the status, nothing is wrong with this service.
            _log.warning("keygen %s failed: %s", keygen_id, error)
            self._abandon(keygen_id)
        except Exception:
            self._abandon(keygen_id)
            raise
        finally:
            with self._lock:
                self._completing.discard(keygen_id)

    def _abandon(self, keygen_id: str) -> None:
        self._services.fleet.drop(keygen_id)
        self._services.keygens.fail(keygen_id)

    def _exchange(self, record: KeygenRecord) -> None:
        """Each enclave takes its participants, tells the others, and the coordinator's makes the roster."""
        services = self._services
        participants = services.keygens.participants(record.id)
        enclaves = services.fleet.open(record, participants)
        peers: dict[int, list[str]] = {enclave.enclave_id: [] for enclave in enclaves}
        for enclave in enclaves:
            own = own_registrations(record, participants, enclave.enclave_id)
            for receiver, sealed in enclave.add_participants(record.id, own).items():
                peers[receiver].append(sealed)
        for enclave in enclaves:
            enclave.add_peers(record.id, peers[enclave.enclave_id])
        home = services.fleet.get(record.coordinator_enclave)
        services.keygens.complete(record.id, peers, home.complete_keygen(record.id))

    def _check_collecting(self, record: KeygenRecord) -> None:
        if record.state is not KeygenState.COLLECTING:
            raise Conflict("Keygen session is not collecting participants")
        if record.expires_at <= self._services.clock():
            raise Conflict("Keygen session has expired")

    def _check_enclave(self, record: KeygenRecord, request: RegisterRequest) -> None:
        assigned = record.assignments.users[request.user_id]
        identity = self._services.fleet.get(assigned).identity
        current_key = identity.public_key.hex()
        if request.enclave_public_key != current_key:
            raise BadRequest(
                f"Participant {request.user_id} must use assigned enclave {assigned} (public key: {current_key}, "
                f"epoch: {identity.epoch}), but provided another public key"
            )
        if request.enclave_key_epoch != identity.epoch:
            raise BadRequest(
                f"Participant {request.user_id} encrypted data with enclave {assigned} epoch "
                f"{request.enclave_key_epoch}, but current epoch is {identity.epoch}. The enclave may have "
                "restarted. Please fetch the latest enclave public key and retry."
            )

    def _validate_in_enclave(self, record: KeygenRecord, request: RegisterRequest) -> None:
        if self._services.faults.take(Refuse, "keygen", record.id):
            raise EnclaveUnavailable("Enclave communication failed")
        enclave = self._services.fleet.get(record.assignments.users[request.user_id])
        sealed = SealedRegistration(request.registration_authorization, request.encrypted_private_key)
        try:
            enclave.validate_registration(sealed, record.signed_manifest)
        except EnclaveRejected as error:
            raise BadRequest(f"Enclave rejected registration: {error.reason}") from error


def _check_shape(keygen_id: str, request: RegisterRequest) -> None:
    if request.keygen_session_id != keygen_id:
        raise BadRequest("Invalid request: keygen_session_id does not match the request path")
    if not request.encrypted_session_data:
        raise BadRequest("Invalid request: encrypted_session_data is empty")
    decode_hex(request.encrypted_private_key, "encrypted_private_key")


def _check_slot(record: KeygenRecord, request: RegisterRequest) -> None:
    ciphertext = bytes.fromhex(request.encrypted_private_key)
    authorization = request.registration_authorization
    try:
        if authorization.context.user_id != request.user_id:
            raise Unauthorized("Invalid slot authorization: the context names another user")
        authorization.verify(record.signed_manifest, ciphertext)
    except CoreError as error:
        raise Unauthorized(f"Invalid slot authorization: {error}") from error


def _check_context(record: KeygenRecord, request: RegisterRequest) -> None:
    context = request.registration_authorization.context
    expected = (
        record.assignments.users[request.user_id],
        request.enclave_key_epoch,
        request.public_key,
        request.auth_pubkey,
        request.require_signing_approval,
    )
    authorized = (
        context.enclave_id,
        context.enclave_key_epoch,
        context.public_key,
        context.auth_pubkey,
        context.require_signing_approval,
    )
    if authorized != expected:
        raise BadRequest("Registration does not match its authorized context")
