"""Rows as typed values. Blobs are JSON of the structs that the wire uses; secrets in them are sealed."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.authorization.manifest import SessionManifest, SignedSessionManifest
from coordinator.embedded.keymeld.authorization.recipients import SessionInitialization
from coordinator.embedded.keymeld.enclave.commands import ItemResult, KeygenResult
from coordinator.embedded.keymeld.gateway.wire import RegisterRequest, SigningRequest
from coordinator_core.errors import Misuse


class KeygenState(StrEnum):
    """Names on the wire."""

    RESERVED = "reserved"
    COLLECTING = "collecting_participants"
    COMPLETED = "completed"
    FAILED = "failed"


class SigningState(StrEnum):
    """Names on the wire."""

    COLLECTING = "collecting_participants"
    INITIALIZING = "initializing_session"
    DISTRIBUTING = "distributing_nonces"
    FINALIZING = "finalizing_signature"
    COMPLETED = "completed"
    FAILED = "failed"


RUNNING = (SigningState.INITIALIZING, SigningState.DISTRIBUTING, SigningState.FINALIZING)
"""States in which enclaves hold nonces."""


class Assignments(msgspec.Struct, frozen=True):
    """What a reservation gave out: enclave of each user, key epoch of each enclave used."""

    users: dict[str, int]
    epochs: dict[int, int]


class KeygenRecord(msgspec.Struct, frozen=True):
    """A keygen session."""

    id: str
    state: KeygenState
    signed_manifest: SignedSessionManifest
    coordinator_enclave: int
    assignments: Assignments
    created_at: int
    expires_at: int
    initialization: SessionInitialization | None
    sealed_secrets: dict[int, str] | None
    """The session secret, sealed to each enclave."""
    peers: dict[int, list[str]] | None
    """What each enclave was told by the others."""
    result: KeygenResult | None

    @property
    def manifest(self) -> SessionManifest:
        """What the creator fixed."""
        return self.signed_manifest.manifest

    @property
    def expected(self) -> list[str]:
        """Users in signer order: descending ids."""
        return sorted(self.manifest.participant_verifiers, reverse=True)

    @property
    def enclaves(self) -> list[int]:
        """Enclaves of this session, ascending."""
        return sorted(set(self.assignments.users.values()))

    def initialized(self) -> SessionInitialization:
        """Raises Misuse before initialize."""
        if self.initialization is None:
            raise Misuse(f"keygen session {self.id} is not initialized")
        return self.initialization


class SigningRecord(msgspec.Struct, frozen=True):
    """A signing session."""

    id: str
    keygen_id: str
    state: SigningState
    request: SigningRequest
    expires_at: int
    results: list[ItemResult]


class Participant(msgspec.Struct, frozen=True):
    """A claimed slot, with the request that claimed it."""

    user_id: str
    request: RegisterRequest


Approvals = dict[str, ParticipantApproval]
