"""Registration: one participant's key, bound to session, slot, enclave and epoch.

Source: keymeld sections 3.3 and 3.5.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.canonical import (
    authorization_digest,
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import U32, Members, as_hex, decode_json
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.secp256k1 import SecretKey, sha256

REGISTRATION_DOMAIN: Final = "participant-registration"
MAX_ENVELOPE_BYTES: Final = 64 * 1024

_CONTEXT = (
    "keygen_session_id",
    "manifest_hash",
    "user_id",
    "enclave_id",
    "enclave_key_epoch",
    "public_key",
    "auth_pubkey",
    "require_signing_approval",
)


class RegistrationContext(Struct, frozen=True):
    """What a sealed key is good for, and nothing else."""

    keygen_session_id: str
    manifest_hash: bytes
    user_id: str
    enclave_id: int
    enclave_key_epoch: int
    public_key: bytes
    auth_pubkey: bytes
    require_signing_approval: bool

    @classmethod
    def from_value(cls, value: object, field: str = "context") -> RegistrationContext:
        """Read one from decoded JSON. Raises InvalidInput."""
        members = Members(value, field, _CONTEXT)
        return cls(
            keygen_session_id=members.uuid("keygen_session_id"),
            manifest_hash=members.octets("manifest_hash", 32),
            user_id=members.uuid("user_id"),
            enclave_id=members.integer("enclave_id", 0, U32),
            enclave_key_epoch=members.integer("enclave_key_epoch", 1),
            public_key=members.point("public_key"),
            auth_pubkey=members.point("auth_pubkey"),
            require_signing_approval=members.boolean("require_signing_approval"),
        )

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {
            "keygen_session_id": self.keygen_session_id,
            "manifest_hash": integers(self.manifest_hash),
            "user_id": self.user_id,
            "enclave_id": self.enclave_id,
            "enclave_key_epoch": self.enclave_key_epoch,
            "public_key": integers(self.public_key),
            "auth_pubkey": integers(self.auth_pubkey),
            "require_signing_approval": self.require_signing_approval,
        }


class RegistrationAuthorization(Struct, frozen=True):
    """A slot credential's word for one context and one ciphertext."""

    context: RegistrationContext
    ciphertext_hash: bytes
    signature: bytes

    @classmethod
    def sign(cls, context: RegistrationContext, ciphertext: bytes, slot_key: SecretKey) -> RegistrationAuthorization:
        """Authorize the envelope `ciphertext` (decoded bytes) for its slot."""
        digest = sha256(ciphertext)
        payload = [context.payload(), integers(digest)]
        return cls(context, digest, sign_authorization(REGISTRATION_DOMAIN, payload, slot_key))

    @classmethod
    def from_json(cls, text: str | bytes) -> RegistrationAuthorization:
        """Read one. Raises InvalidInput; the signature is `verify`'s matter."""
        return cls.from_value(decode_json(text, "registration"))

    @classmethod
    def from_value(cls, value: object, field: str = "registration") -> RegistrationAuthorization:
        """As from_json, from decoded JSON."""
        members = Members(value, field, ("context", "ciphertext_hash", "signature"))
        return cls(
            RegistrationContext.from_value(members.raw("context"), members.path("context")),
            members.octets("ciphertext_hash", 32),
            members.octets("signature", 64),
        )

    def verify(self, manifest: SignedManifest) -> None:
        """The slot's signature, session and manifest.

        Raises VerificationFailed, InvalidSignature (fault: player).
        """
        context, terms = self.context, manifest.manifest
        if context.keygen_session_id != terms.keygen_session_id or context.manifest_hash != manifest.hash:
            raise VerificationFailed("registration", "is bound to another session", fault=Fault.PLAYER)
        slot_key = terms.participant_verifiers.get(context.user_id)
        if slot_key is None:
            raise VerificationFailed("registration", "is of someone who takes no part", fault=Fault.PLAYER)
        payload = [context.payload(), integers(self.ciphertext_hash)]
        verify_authorization(REGISTRATION_DOMAIN, payload, self.signature, slot_key, fault=Fault.PLAYER)

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the slot credential signed."""
        return authorization_digest(REGISTRATION_DOMAIN, [self.context.payload(), integers(self.ciphertext_hash)])

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {
            "context": self.context.payload(),
            "ciphertext_hash": integers(self.ciphertext_hash),
            "signature": integers(self.signature),
        }

    def to_json(self) -> str:
        """The wire form; from_json gives an equal value."""
        return canonical_json(self.payload()).decode()


class SealedRegistration(Struct, frozen=True):
    """A registration with its envelope, ready for the gateway."""

    authorization: RegistrationAuthorization
    ciphertext: bytes
    enclave_public_key: bytes

    @classmethod
    def from_json(cls, text: str | bytes) -> SealedRegistration:
        """Read a stored one. Raises InvalidInput."""
        names = ("authorization", "ciphertext", "enclave_public_key")
        members = Members(decode_json(text, "sealed registration"), "sealed registration", names)
        return cls(
            RegistrationAuthorization.from_value(members.raw("authorization"), members.path("authorization")),
            as_hex(members.raw("ciphertext"), members.path("ciphertext")),
            members.hex_point("enclave_public_key"),
        )

    def to_json(self) -> str:
        """For storage; from_json gives an equal value."""
        return canonical_json(
            {
                "authorization": self.authorization.payload(),
                "ciphertext": self.ciphertext.hex(),
                "enclave_public_key": self.enclave_public_key.hex(),
            }
        ).decode()


def accept_registration(
    authorization: RegistrationAuthorization,
    ciphertext: bytes,
    *,
    manifest: SignedManifest,
    recipients: EnclaveRecipients,
    enclave_key_epochs: dict[int, int],
    user_id: str,
    public_key: bytes,
) -> SealedRegistration:
    """The coordinator's checks of what a player hands over, before it goes to the gateway.

    `enclave_key_epochs` are the pinned epochs by enclave id; `public_key` is the entry key of this attempt
    from the player's signed entry. Raises InvalidInput, VerificationFailed, InvalidSignature, all the
    player's fault.
    """
    context = authorization.context
    enclave = recipients.user_enclave_assignments.get(user_id)
    if enclave is None:
        raise InvalidInput("user_id", "is no participant", fault=Fault.PLAYER)
    _require(context.user_id == user_id, "context.user_id", "is another entry")
    _require(context.enclave_id == enclave, "context.enclave_id", "is not the assigned enclave")
    epoch = enclave_key_epochs.get(enclave)
    _require(context.enclave_key_epoch == epoch, "context.enclave_key_epoch", "is not the pinned epoch")
    _require(context.public_key == public_key, "context.public_key", "is not this attempt's entry key")
    _require(context.require_signing_approval, "context.require_signing_approval", "is false")
    _require(len(ciphertext) <= MAX_ENVELOPE_BYTES, "ciphertext", "is too long")
    _require(sha256(ciphertext) == authorization.ciphertext_hash, "ciphertext", "is not the authorized one")
    authorization.verify(manifest)
    return SealedRegistration(authorization, ciphertext, recipients.key_for(user_id))


def _require(condition: bool, field: str, reason: str) -> None:
    if not condition:
        raise InvalidInput(f"registration.{field}", reason, "seal this attempt's key again", fault=Fault.PLAYER)
