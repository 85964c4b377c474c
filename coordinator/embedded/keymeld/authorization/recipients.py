"""The enclave keys that may receive the session secret, signed by the creator (keymeld section 3.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    EnclaveId,
    Octets32,
    Octets33,
    Octets64,
    PublicKeyOctets,
    Unsigned,
    Uuid,
    authorization_digest,
    check_signature,
    sorted_map,
)
from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import parse_point


class EnclaveRecipientAuthorization(msgspec.Struct, frozen=True):
    """Which enclave serves which user, and the key of each enclave."""

    keygen_session_id: Uuid
    manifest_hash: Octets32
    user_enclave_assignments: dict[Uuid, EnclaveId]
    recipient_public_keys: dict[EnclaveId, Octets33]
    signature: Octets64

    def __post_init__(self) -> None:
        for name in ("user_enclave_assignments", "recipient_public_keys"):
            msgspec.structs.force_setattr(self, name, sorted_map(getattr(self, name)))

    def digest(self) -> bytes:
        """What the creator signs."""
        payload = [
            self.keygen_session_id,
            self.manifest_hash,
            self.user_enclave_assignments,
            self.recipient_public_keys,
        ]
        return authorization_digest("enclave-recipients", payload)

    def recipient_key(self, enclave_id: int) -> bytes:
        """The key listed for an enclave, 33 bytes. Raises InvalidInput when it is not listed."""
        if enclave_id not in self.recipient_public_keys:
            raise InvalidInput("recipient_public_keys", f"enclave {enclave_id} is missing", "list its key")
        return bytes(self.recipient_public_keys[enclave_id])

    def verify(self, signed: SignedSessionManifest) -> None:
        """Every rule of section 3.2 against a verified manifest. Raises InvalidInput or InvalidSignature."""
        manifest = signed.manifest
        if self.keygen_session_id != manifest.keygen_session_id:
            raise InvalidInput("keygen_session_id", "is another session", "the manifest's session")
        if bytes(self.manifest_hash) != signed.hash():
            raise InvalidInput("manifest_hash", "is not the hash of the manifest", "hash the signed manifest")
        if self.user_enclave_assignments.keys() != manifest.participant_verifiers.keys():
            raise InvalidInput("user_enclave_assignments", "are not the participants", "assign each of them")
        if set(self.recipient_public_keys) != set(self.user_enclave_assignments.values()):
            raise InvalidInput("recipient_public_keys", "are not the assigned enclaves", "list exactly these")
        keys = [parse_point(self.recipient_key(enclave), "recipient key") for enclave in self.recipient_public_keys]
        if len(set(keys)) != len(keys):
            raise InvalidInput("recipient_public_keys", "a key occurs twice", "each enclave has its own key")
        check_signature("enclave recipients signature", self.signature, self.digest(), manifest.creator_key)


class SessionInitialization(msgspec.Struct, frozen=True):
    """The signed part of POST /keygen/{id}/initialize (keymeld section 4.2)."""

    recipient_authorization: EnclaveRecipientAuthorization
    authorization_signature: Octets64
    coordinator_pubkey: PublicKeyOctets
    session_public_key: PublicKeyOctets
    encrypted_session_secret: str
    encrypted_session_data: str
    enclave_key_epoch: Unsigned

    def digest(self, keygen_session_id: str) -> bytes:
        """What the creator signs."""
        payload: list[Any] = [
            keygen_session_id,
            self.coordinator_pubkey,
            self.session_public_key,
            self.encrypted_session_secret,
            self.encrypted_session_data,
            self.enclave_key_epoch,
            self.recipient_authorization,
        ]
        return authorization_digest("initialize-session", payload)
