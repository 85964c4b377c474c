"""POST /keygen/reserve and /keygen/{id}/initialize (keymeld sections 4.1 and 4.2)."""

from __future__ import annotations

from coordinator.embedded.keymeld.authorization.canonical import canonical_point, check_signature
from coordinator.embedded.keymeld.errors import BadRequest, Conflict, EnclaveRejected, Unauthorized
from coordinator.embedded.keymeld.gateway.records import KeygenRecord, KeygenState
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator.embedded.keymeld.gateway.wire import Answer, InitializeRequest, ReserveRequest
from coordinator.embedded.keymeld.limits import (
    MAXIMUM_PARTICIPANTS,
    MAXIMUM_SUBSETS,
    MAXIMUM_TIMEOUT,
    MINIMUM_PARTICIPANTS,
    MINIMUM_SUBSET_MEMBERS,
)
from coordinator_core.errors import CoreError, VerificationFailed


class ReservationService:
    """Opens keygen sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def reserve(self, request: ReserveRequest) -> Answer:
        """Check shape, manifest and equality of both, assign enclaves. Raises BadRequest or Unauthorized."""
        _check_shape(request)
        _check_manifest(request)
        services, now = self._services, self._services.clock()
        for dropped in services.keygens.drop_old(now):
            services.fleet.drop(dropped)
        coordinator = request.coordinator_user_id
        assignments = services.fleet.assign(request.keygen_session_id, coordinator, request.expected_participants)
        home = services.fleet.get(assignments.users[coordinator])
        expires_at = now + request.timeout_secs
        services.keygens.reserve(request.authorization_manifest, home.enclave_id, assignments, now, expires_at)
        return {
            "keygen_session_id": request.keygen_session_id,
            "user_enclave_assignments": assignments.users,
            "coordinator_enclave_id": home.enclave_id,
            "coordinator_public_key": home.identity.public_key.hex(),
            "coordinator_key_epoch": home.identity.epoch,
            "expected_participants": len(request.expected_participants),
            "expires_at": expires_at,
        }

    def initialize(self, keygen_id: str, request: InitializeRequest) -> Answer:
        """Verify recipients and initialization, then open the session on every enclave of it."""
        services = self._services
        record = services.keygens.get(keygen_id)
        if record.state is not KeygenState.RESERVED:
            raise BadRequest("Session is not in reserved state. It may have already been initialized or expired.")
        if record.expires_at <= services.clock():
            raise Conflict("Keygen session reservation has expired")
        _check_initialization(record, request)
        self._check_epoch(record, request)
        secrets = self._open_on_enclaves(_initialized(record, request))
        services.keygens.initialize(keygen_id, request, secrets)
        return {
            "keygen_session_id": keygen_id,
            "status": KeygenState.COLLECTING,
            "session_secret": request.encrypted_session_secret,
            "session_public_key": request.session_public_key,
        }

    def _check_epoch(self, record: KeygenRecord, request: InitializeRequest) -> None:
        current = self._services.fleet.get(record.coordinator_enclave).identity.epoch
        if request.enclave_key_epoch != current:
            raise BadRequest(
                f"Encrypted session secret uses coordinator enclave {record.coordinator_enclave} epoch "
                f"{request.enclave_key_epoch}, but current epoch is {current}. The enclave may have restarted. "
                "Please fetch the latest enclave public key and retry."
            )

    def _open_on_enclaves(self, record: KeygenRecord) -> dict[int, str]:
        """The session secret, sealed to each enclave of the session. Raises BadRequest."""
        fleet, home = self._services.fleet, record.coordinator_enclave
        sealed = {home: record.initialized().encrypted_session_secret}
        opened: list[int] = []
        try:
            for enclave_id in [home, *(e for e in record.enclaves if e != home)]:
                command = fleet.init_command(record, enclave_id, sealed[enclave_id])
                sealed.update(fleet.get(enclave_id).init_keygen(command))
                opened.append(enclave_id)
        except EnclaveRejected as error:
            for enclave_id in opened:
                fleet.get(enclave_id).drop_keygen(record.id)
            raise BadRequest(f"Enclave rejected session: {error.reason}") from error
        return sealed


def _initialized(record: KeygenRecord, request: InitializeRequest) -> KeygenRecord:
    return KeygenRecord(
        id=record.id,
        state=KeygenState.COLLECTING,
        signed_manifest=record.signed_manifest,
        coordinator_enclave=record.coordinator_enclave,
        assignments=record.assignments,
        created_at=record.created_at,
        expires_at=record.expires_at,
        initialization=request,
        sealed_secrets=None,
        peers=None,
        result=None,
    )


def _check_shape(request: ReserveRequest) -> None:
    users = request.expected_participants
    if not 1 <= request.timeout_secs <= MAXIMUM_TIMEOUT:
        raise BadRequest(f"Invalid request: timeout_secs must be between 1 and {MAXIMUM_TIMEOUT}")
    if not MINIMUM_PARTICIPANTS <= len(users) <= MAXIMUM_PARTICIPANTS or len(set(users)) != len(users):
        raise BadRequest(
            f"Invalid request: expected_participants must be {MINIMUM_PARTICIPANTS} to {MAXIMUM_PARTICIPANTS}"
            " different users"
        )
    if len(request.subset_definitions) > MAXIMUM_SUBSETS:
        raise BadRequest(f"Invalid request: at most {MAXIMUM_SUBSETS} subset_definitions")
    if any(len(subset.participants) < MINIMUM_SUBSET_MEMBERS for subset in request.subset_definitions):
        raise BadRequest(f"Invalid request: a subset needs at least {MINIMUM_SUBSET_MEMBERS} participants")


_DUPLICATED = (
    "keygen_session_id",
    "coordinator_user_id",
    "timeout_secs",
    "max_signing_sessions",
    "encrypted_taproot_tweak",
    "subset_definitions",
)


def _check_manifest(request: ReserveRequest) -> None:
    signed = request.authorization_manifest
    for name in _DUPLICATED:
        if getattr(request, name) != getattr(signed.manifest, name):
            raise BadRequest(f"Invalid request: {name} differs from the authorization manifest")
    if set(request.expected_participants) != set(signed.manifest.participant_verifiers):
        raise BadRequest("Invalid request: expected_participants differ from the authorization manifest")
    try:
        signed.verify()
    except VerificationFailed as error:
        raise Unauthorized(f"Invalid authorization manifest: {error}") from error
    except CoreError as error:
        raise BadRequest(f"Invalid authorization manifest: {error}") from error


def _check_initialization(record: KeygenRecord, request: InitializeRequest) -> None:
    recipients = request.recipient_authorization
    try:
        recipients.verify(record.signed_manifest)
    except CoreError as error:
        raise Unauthorized(f"Invalid enclave recipient authorization: {error}") from error
    if recipients.user_enclave_assignments != record.assignments.users:
        raise BadRequest("Enclave recipients do not match reserved assignments")
    try:
        check_signature(
            "initialization", request.authorization_signature, request.digest(record.id), record.manifest.creator_key
        )
    except VerificationFailed as error:
        raise Unauthorized(f"Invalid initialization authorization: {error}") from error
    canonical_point(request.coordinator_pubkey, "coordinator_pubkey")
    if canonical_point(request.session_public_key, "session_public_key") != record.manifest.session_key:
        raise BadRequest("Session public key does not match the authorization manifest")
