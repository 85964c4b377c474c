"""Driving the enclaves through one signing session: nonces, partial signatures, result."""

from __future__ import annotations

from coordinator.embedded.keymeld.enclave.commands import InitSigning, ItemResult
from coordinator.embedded.keymeld.enclave.enclave import Enclave
from coordinator.embedded.keymeld.errors import EnclaveRejected
from coordinator.embedded.keymeld.gateway.faults import BadSignature, Silent, Slow
from coordinator.embedded.keymeld.gateway.records import KeygenRecord, SigningRecord, SigningState
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator_core.errors import CoreError


class SigningRun:
    """Starts sessions in worker threads, each once; nonces are made once and never kept."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def start(self, signing_id: str) -> None:
        """Leave the collecting state and queue the work; does nothing if another call did."""
        services = self._services
        if not services.signings.advance(signing_id, SigningState.COLLECTING, SigningState.INITIALIZING):
            return
        if services.faults.take(Silent, "signing", signing_id):
            return
        slow = services.faults.take(Slow, "signing", signing_id)
        delay = slow.seconds if isinstance(slow, Slow) else 0.0
        services.jobs.submit(lambda: self._sign(signing_id), delay)

    def fail(self, signing_id: str, reason: str) -> None:
        """End a session; each of its items carries the reason."""
        record = self._services.signings.get(signing_id)
        results = [ItemResult(item.batch_item_id, error=reason) for item in record.request.batch_items]
        self._services.signings.finish(signing_id, SigningState.FAILED, results)

    def _sign(self, signing_id: str) -> None:
        record = self._services.signings.get(signing_id)
        try:
            if self._services.clock() >= record.expires_at:
                raise EnclaveRejected("the signing session expired")
            results = self._rounds(record)
        except CoreError as error:
            # A rule said no: that is an answer for the client, not a fault of this service.
            self.fail(signing_id, str(error))
        except Exception:
            self.fail(signing_id, "internal error")
            raise
        else:
            self._services.signings.finish(signing_id, SigningState.COMPLETED, results)

    def _rounds(self, record: SigningRecord) -> list[ItemResult]:
        services = self._services
        keygen = services.keygens.get(record.keygen_id)
        enclaves = services.fleet.open(keygen, services.keygens.participants(keygen.id))
        command = InitSigning(
            keygen_session_id=keygen.id,
            signing_session_id=record.id,
            timeout_secs=record.request.timeout_secs,
            authorization=record.request.signing_authorization,
            batch=record.request.batch(),
            approvals=list(services.signings.fresh_approvals(record.id, services.clock()).values()),
        )
        try:
            return self._exchange(keygen, record.id, enclaves, command)
        finally:
            for enclave in enclaves:
                enclave.close_signing(record.id)

    def _exchange(
        self, keygen: KeygenRecord, signing_id: str, enclaves: list[Enclave], command: InitSigning
    ) -> list[ItemResult]:
        nonces = {enclave.enclave_id: enclave.init_signing(command) for enclave in enclaves}
        self._advance(signing_id, SigningState.INITIALIZING, SigningState.DISTRIBUTING)
        partials = {enclave.enclave_id: enclave.sign(signing_id, nonces) for enclave in enclaves}
        self._advance(signing_id, SigningState.DISTRIBUTING, SigningState.FINALIZING)
        spoil = self._services.faults.take(BadSignature, "signing", signing_id) is not None
        home = self._services.fleet.get(keygen.coordinator_enclave)
        return home.finalize(signing_id, partials, spoil=spoil)

    def _advance(self, signing_id: str, before: SigningState, after: SigningState) -> None:
        if not self._services.signings.advance(signing_id, before, after):
            raise EnclaveRejected("the signing session ended meanwhile")
