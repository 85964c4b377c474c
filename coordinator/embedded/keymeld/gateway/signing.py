"""POST /signing, approvals and status (keymeld sections 4.5 and 4.6)."""

from __future__ import annotations

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.errors import BadRequest, EnclaveUnavailable, Unauthorized
from coordinator.embedded.keymeld.gateway.authentication import SignatureHeader
from coordinator.embedded.keymeld.gateway.faults import Refuse
from coordinator.embedded.keymeld.gateway.records import (
    KeygenRecord,
    KeygenState,
    Participant,
    SigningRecord,
    SigningState,
)
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator.embedded.keymeld.gateway.signing_run import SigningRun
from coordinator.embedded.keymeld.gateway.signings import quota_text
from coordinator.embedded.keymeld.gateway.wire import Answer, SigningRequest
from coordinator.embedded.keymeld.limits import (
    DEFAULT_SIGNING_SESSIONS,
    MAXIMUM_BATCH_ITEMS,
    MAXIMUM_TIMEOUT,
)
from coordinator_core.errors import InvalidInput, VerificationFailed


class SigningService:
    """Accepts batches and approvals, starts the enclaves when nothing is missing."""

    def __init__(self, services: Services, run: SigningRun) -> None:
        self._services = services
        self._run = run

    def create(self, request: SigningRequest, header: SignatureHeader) -> Answer:
        """Every check of section 4.5 in its order; quota comes before the batch signature."""
        services = self._services
        _check_shape(request)
        record = services.keygens.get(request.keygen_session_id)
        now = services.clock()
        services.headers.session(header, record.id, record.manifest.session_key, now)
        quota = self._check_quota(record, request)
        if record.state is not KeygenState.COMPLETED:
            raise BadRequest("Keygen session must be completed before creating signing session")
        _check_authorization(record, request)
        if services.faults.take(Refuse, "signing", request.signing_session_id):
            raise EnclaveUnavailable("Enclave communication failed")
        expires_at = now + request.timeout_secs
        services.signings.create(request, quota, expires_at)
        self._start_if_approved(services.signings.get(request.signing_session_id))
        return {
            "signing_session_id": request.signing_session_id,
            "keygen_session_id": record.id,
            "status": SigningState.COLLECTING,
            "participants_count": len(record.expected),
            "expires_at": expires_at,
        }

    def approve(self, signing_id: str, user_id: str, approval: ParticipantApproval, header: SignatureHeader) -> None:
        """Keep a valid approval of exactly this batch; a later one of the same user replaces it."""
        record = self._services.signings.get(signing_id)
        auth_key = self._authenticate(record, user_id, header)
        record = self._expired(record)
        if approval.user_id != user_id:
            raise BadRequest("Approval names another participant than the request path")
        if record.state is not SigningState.COLLECTING:
            raise BadRequest("Signing session is not collecting approvals")
        try:
            approval.verify(auth_key, record.keygen_id, record.id, record.request.batch(), self._services.clock())
        except VerificationFailed as error:
            raise Unauthorized(f"Invalid approval: {error}") from error
        except InvalidInput as error:
            raise BadRequest(f"Invalid approval: {error}") from error
        self._services.signings.approve(signing_id, approval)
        self._start_if_approved(record)

    def status(self, signing_id: str, user_id: str, header: SignatureHeader) -> Answer:
        """Progress, the full encrypted batch, and once completed the results."""
        services = self._services
        record = services.signings.get(signing_id)
        self._authenticate(record, user_id, header)
        record = self._expired(record)
        participants = services.keygens.participants(record.keygen_id)
        requiring, approved = self._approvals(record, participants)
        return {
            "signing_session_id": signing_id,
            "keygen_session_id": record.keygen_id,
            "status": record.state,
            "participants_registered": len(participants),
            "expected_participants": len(participants),
            "expires_at": record.expires_at,
            "participants_requiring_approval": requiring,
            "approved_participants": approved,
            "batch_items": record.request.batch_items,
            "batch_results": record.results,
        }

    def resume(self) -> None:
        """After a restart: sessions whose nonces are lost fail; those that only waited go on."""
        for signing_id in self._services.signings.running():
            self._run.fail(signing_id, "the enclaves restarted")
        for signing_id in self._services.signings.collecting():
            self._start_if_approved(self._services.signings.get(signing_id))

    def _check_quota(self, record: KeygenRecord, request: SigningRequest) -> int:
        signings = self._services.signings
        if signings.exists(request.signing_session_id):
            raise BadRequest("Signing session already exists")
        chosen = record.manifest.max_signing_sessions
        quota = DEFAULT_SIGNING_SESSIONS if chosen is None else chosen
        if signings.count(record.id) >= quota:
            raise BadRequest(quota_text(quota))
        return quota

    def _authenticate(self, record: SigningRecord, user_id: str, header: SignatureHeader) -> bytes:
        """The user's auth key, once the header has verified under it."""
        services = self._services
        for participant in services.keygens.participants(record.keygen_id):
            if participant.user_id == user_id:
                auth_key = bytes(participant.request.auth_pubkey)
                services.headers.user(header, record.id, user_id, auth_key, services.clock())
                return auth_key
        raise Unauthorized("Participant is not registered in this session")

    def _expired(self, record: SigningRecord) -> SigningRecord:
        finished = record.state in (SigningState.COMPLETED, SigningState.FAILED)
        if finished or self._services.clock() < record.expires_at:
            return record
        self._run.fail(record.id, "the signing session expired")
        return self._services.signings.get(record.id)

    def _approvals(self, record: SigningRecord, participants: list[Participant]) -> tuple[list[str], list[str]]:
        """(who has to approve, who has): filled only while approvals are collected."""
        if record.state is not SigningState.COLLECTING:
            return [], []
        fresh = self._services.signings.fresh_approvals(record.id, self._services.clock())
        return _requiring(participants), sorted(fresh)

    def _start_if_approved(self, record: SigningRecord) -> None:
        services = self._services
        requiring = _requiring(services.keygens.participants(record.keygen_id))
        fresh = services.signings.fresh_approvals(record.id, services.clock())
        if set(requiring) <= fresh.keys():
            self._run.start(record.id)


def _requiring(participants: list[Participant]) -> list[str]:
    return [p.user_id for p in participants if p.request.require_signing_approval]


def _check_shape(request: SigningRequest) -> None:
    ids = [item.batch_item_id for item in request.batch_items]
    if not 1 <= request.timeout_secs <= MAXIMUM_TIMEOUT:
        raise BadRequest(f"Invalid request: timeout_secs must be between 1 and {MAXIMUM_TIMEOUT}")
    if not 1 <= len(ids) <= MAXIMUM_BATCH_ITEMS:
        raise BadRequest(f"Invalid request: batch_items must hold 1 to {MAXIMUM_BATCH_ITEMS} items")
    if len(set(ids)) != len(ids):
        raise BadRequest("Invalid request: a batch_item_id occurs twice")


def _check_authorization(record: KeygenRecord, request: SigningRequest) -> None:
    if request.signing_authorization.timeout_secs != request.timeout_secs:
        raise BadRequest("Signing timeout differs from authorization")
    try:
        request.signing_authorization.verify(
            record.manifest.signing_key, record.id, request.signing_session_id, request.batch()
        )
    except VerificationFailed as error:
        raise Unauthorized(f"Invalid signing authorization: {error}") from error
