"""GET /keygen/{id}/slots and /status (keymeld section 4.4)."""

from __future__ import annotations

from coordinator.embedded.keymeld.errors import BadRequest, NotFound
from coordinator.embedded.keymeld.gateway.authentication import SignatureHeader
from coordinator.embedded.keymeld.gateway.records import KeygenRecord, KeygenState
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator.embedded.keymeld.gateway.wire import Answer


class KeygenStatusService:
    """Reads keygen sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def slots(self, keygen_id: str, header: SignatureHeader) -> Answer:
        """Every participant, with its enclave and whether its slot is claimed."""
        record = self._authenticated(keygen_id, header)
        if record.state is KeygenState.RESERVED:
            raise BadRequest("Keygen session is reserved but not yet initialized")
        if record.state is KeygenState.FAILED:
            raise BadRequest("Keygen session is not accepting new participants")
        claimed = {p.user_id for p in self._services.keygens.participants(keygen_id)}
        slots = [
            {
                "user_id": user,
                "enclave_id": record.assignments.users[user],
                "signer_index": index,
                "claimed": user in claimed,
            }
            for index, user in enumerate(record.expected)
        ]
        return {
            "session_id": keygen_id,
            "available_slots": slots,
            "total_slots": len(slots),
            "claimed_slots": len(claimed),
        }

    def status(self, keygen_id: str, header: SignatureHeader) -> Answer:
        """Progress, the signed objects, and once completed aggregates and roster under the session secret."""
        record = self._services.keygens.get(keygen_id)
        if record.state is KeygenState.RESERVED:
            raise BadRequest("Session is reserved but not yet initialized")
        if record.state is KeygenState.FAILED:
            raise BadRequest("Cannot get status for failed session")
        record = self._authenticated(keygen_id, header)
        completed = record.state is KeygenState.COMPLETED
        if not completed and record.expires_at <= self._services.clock():
            raise NotFound("Keygen session not found")
        result = record.result
        return {
            "keygen_session_id": keygen_id,
            "status": record.state,
            "expected_participants": len(record.expected),
            "registered_participants": len(self._services.keygens.participants(keygen_id)),
            "aggregate_public_key": result.encrypted_aggregate if result else None,
            "expires_at": 0 if completed else record.expires_at,
            "encrypted_subset_aggregates": result.encrypted_subset_aggregates if result else {},
            "recipient_authorization": record.initialized().recipient_authorization,
            "authorization_manifest": record.signed_manifest,
            "encrypted_roster": result.encrypted_roster if result else None,
        }

    def _authenticated(self, keygen_id: str, header: SignatureHeader) -> KeygenRecord:
        services = self._services
        record = services.keygens.get(keygen_id)
        services.headers.session(header, keygen_id, record.manifest.session_key, services.clock())
        return record
