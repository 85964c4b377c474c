"""What opens a reserved session: the sealed session secret and the recipients, creator-signed.

Source: keymeld section 4.2.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from coordinator_core.errors import InvalidInput
from coordinator_core.keymeld.canonical import (
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.ecies import encrypt
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import Members, decode_json
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

INITIALIZE_DOMAIN: Final = "initialize-session"

_MEMBERS = (
    "recipient_authorization",
    "authorization_signature",
    "coordinator_pubkey",
    "session_public_key",
    "encrypted_session_secret",
    "encrypted_session_data",
    "enclave_key_epoch",
)


class Initialization(Struct, frozen=True):
    """The body of POST /keygen/{id}/initialize. Random inside: store it before it is sent."""

    recipients: EnclaveRecipients
    authorization_signature: bytes
    coordinator_pubkey: bytes
    session_public_key: bytes
    encrypted_session_secret: str
    encrypted_session_data: str
    enclave_key_epoch: int

    @classmethod
    def sign(
        cls,
        manifest: SignedManifest,
        recipients: EnclaveRecipients,
        *,
        session_secret: Secret,
        coordinator_pubkey: bytes,
        enclave_key_epoch: int,
        creator_key: SecretKey,
    ) -> Initialization:
        """Seal the session secret to the coordinator's enclave and sign. Raises InvalidInput.

        `coordinator_pubkey` is the public key that the coordinator will register; `enclave_key_epoch` the
        pinned epoch of its enclave.
        """
        recipients.verify(manifest)
        data = canonical_json({"coordinator_pubkey": integers(coordinator_pubkey), "aggregate_pubkey": None})
        enclave_key = recipients.key_for(manifest.manifest.coordinator_user_id)
        unsigned = cls(
            recipients=recipients,
            authorization_signature=b"",
            coordinator_pubkey=coordinator_pubkey,
            session_public_key=manifest.manifest.session_public_key,
            encrypted_session_secret=encrypt(session_secret.reveal(), enclave_key).hex(),
            encrypted_session_data=encrypt_field(session_secret, Context.KEYGEN_SESSION, data),
            enclave_key_epoch=enclave_key_epoch,
        )
        return unsigned._signed(sign_authorization(INITIALIZE_DOMAIN, unsigned.signed_payload(), creator_key))

    @classmethod
    def from_json(cls, text: str | bytes, manifest: SignedManifest) -> Initialization:
        """Read and verify a stored one. Raises InvalidInput, Refused, VerificationFailed."""
        members = Members(decode_json(text, "initialization"), "initialization", _MEMBERS)
        initialization = cls(
            recipients=EnclaveRecipients.from_value(members.raw("recipient_authorization"), manifest),
            authorization_signature=members.octets("authorization_signature", 64),
            coordinator_pubkey=members.point("coordinator_pubkey"),
            session_public_key=members.point("session_public_key"),
            encrypted_session_secret=members.hex_text("encrypted_session_secret"),
            encrypted_session_data=members.hex_text("encrypted_session_data"),
            enclave_key_epoch=members.integer("enclave_key_epoch", 1),
        )
        initialization.verify(manifest)
        return initialization

    def verify(self, manifest: SignedManifest) -> None:
        """The creator's signature and the manifest's session key. Raises InvalidInput, InvalidSignature."""
        if self.session_public_key != manifest.manifest.session_public_key:
            raise InvalidInput("initialization.session_public_key", "is not the manifest's")
        creator = manifest.manifest.creator_pubkey
        verify_authorization(INITIALIZE_DOMAIN, self.signed_payload(), self.authorization_signature, creator)

    def signed_payload(self) -> list[object]:
        """What the creator signs."""
        return [
            self.recipients.keygen_session_id,
            integers(self.coordinator_pubkey),
            integers(self.session_public_key),
            self.encrypted_session_secret,
            self.encrypted_session_data,
            self.enclave_key_epoch,
            self.recipients.payload(),
        ]

    def payload(self) -> dict[str, object]:
        """The request body."""
        return {
            "recipient_authorization": self.recipients.payload(),
            "authorization_signature": integers(self.authorization_signature),
            "coordinator_pubkey": integers(self.coordinator_pubkey),
            "session_public_key": integers(self.session_public_key),
            "encrypted_session_secret": self.encrypted_session_secret,
            "encrypted_session_data": self.encrypted_session_data,
            "enclave_key_epoch": self.enclave_key_epoch,
        }

    def to_json(self) -> str:
        """The wire form; from_json gives an equal value."""
        return canonical_json(self.payload()).decode()

    def _signed(self, signature: bytes) -> Initialization:
        return Initialization(
            self.recipients,
            signature,
            self.coordinator_pubkey,
            self.session_public_key,
            self.encrypted_session_secret,
            self.encrypted_session_data,
            self.enclave_key_epoch,
        )
