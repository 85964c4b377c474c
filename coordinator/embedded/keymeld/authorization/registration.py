"""A participant's registration: context, sealed envelope, slot authorization (keymeld sections 3.3 to 3.5)."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    EnclaveId,
    Octets32,
    Octets33,
    Octets64,
    Unsigned,
    Uuid,
    authorization_digest,
    check_signature,
)
from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.secp256k1 import parse_point, sha256


class RegistrationContext(msgspec.Struct, frozen=True):
    """What a registration is bound to: session, manifest, user, enclave, epoch, keys and approval flag."""

    keygen_session_id: Uuid
    manifest_hash: Octets32
    user_id: Uuid
    enclave_id: EnclaveId
    enclave_key_epoch: Unsigned
    public_key: Octets33
    auth_pubkey: Octets33
    require_signing_approval: bool


class RegistrationEnvelope(msgspec.Struct, frozen=True):
    """What is sealed to the enclave; the proof is made by the private key itself."""

    context: RegistrationContext
    private_key: Octets32
    proof_signature: Octets64
    escrow: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    deposit: bool = False

    def __repr__(self) -> str:
        return "***"

    def check_plain(self) -> None:
        """Raises Refused for escrow, which needs the confidential transport, and for a deposit."""
        if self.escrow is not msgspec.UNSET:
            raise Refused("envelope.escrow", "needs the confidential transport", "leave it out")
        if self.deposit:
            raise Refused("envelope.deposit", "the manifest has no deposit scope", "leave it out")


class RegistrationAuthorization(msgspec.Struct, frozen=True):
    """A context and the hash of its sealed envelope, signed by the slot credential."""

    context: RegistrationContext
    ciphertext_hash: Octets32
    signature: Octets64

    def digest(self) -> bytes:
        """What the slot credential signs."""
        return authorization_digest("participant-registration", [self.context, self.ciphertext_hash])

    def verify(self, signed: SignedSessionManifest, ciphertext: bytes | None = None) -> None:
        """Session, manifest, keys, ciphertext (when given) and slot signature.

        Raises InvalidInput or InvalidSignature.
        """
        context = self.context
        if context.keygen_session_id != signed.manifest.keygen_session_id:
            raise InvalidInput("context.keygen_session_id", "is another session", "the manifest's session")
        if bytes(context.manifest_hash) != signed.hash():
            raise InvalidInput("context.manifest_hash", "is another manifest", "hash the signed manifest")
        if ciphertext is not None and sha256(ciphertext) != bytes(self.ciphertext_hash):
            raise InvalidInput("ciphertext_hash", "is not the hash of the ciphertext", "SHA-256 of its bytes")
        parse_point(bytes(context.public_key), "context.public_key")
        parse_point(bytes(context.auth_pubkey), "context.auth_pubkey")
        slot_key = signed.manifest.slot_key(context.user_id)
        check_signature("slot signature", self.signature, self.digest(), slot_key)


def possession_digest(context: RegistrationContext) -> bytes:
    """What a participant's private key signs to prove that it is held."""
    return authorization_digest("registration-possession", context)
