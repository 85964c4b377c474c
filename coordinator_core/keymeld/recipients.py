"""The enclave recipients authorization: which enclave keys may receive the session secret.

Source: keymeld section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from coordinator_core.errors import InvalidInput, Refused, VerificationFailed
from coordinator_core.keymeld.canonical import (
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import U32, Members, as_integer, as_object, decode_json, read_point
from coordinator_core.secp256k1 import SecretKey

RECIPIENTS_DOMAIN: Final = "enclave-recipients"

_MAX_ENCLAVES = 1000


class EnclaveRecipients(Struct, frozen=True):
    """Who is assigned to which enclave, and the key of each enclave; signed by the manifest's creator."""

    keygen_session_id: str
    manifest_hash: bytes
    user_enclave_assignments: Mapping[str, int]
    recipient_public_keys: Mapping[int, bytes]
    signature: bytes

    @classmethod
    def sign(
        cls,
        manifest: SignedManifest,
        assignments: Mapping[str, int],
        enclave_keys: Mapping[int, bytes],
        creator_key: SecretKey,
    ) -> EnclaveRecipients:
        """Authorize enclaves for a manifest; keys of enclaves nobody is assigned to are left out.

        Raises InvalidInput.
        """
        missing = set(assignments.values()) - enclave_keys.keys()
        if missing:
            raise InvalidInput("assignments", f"name enclave {min(missing)}, which is not pinned")
        keys = {enclave: enclave_keys[enclave] for enclave in sorted(set(assignments.values()))}
        unsigned = cls(manifest.manifest.keygen_session_id, manifest.hash, dict(assignments), keys, b"")
        signed = cls(
            unsigned.keygen_session_id,
            unsigned.manifest_hash,
            unsigned.user_enclave_assignments,
            unsigned.recipient_public_keys,
            sign_authorization(RECIPIENTS_DOMAIN, unsigned.signed_payload(), creator_key),
        )
        signed.verify(manifest)
        return signed

    @classmethod
    def from_json(cls, text: str | bytes, manifest: SignedManifest) -> EnclaveRecipients:
        """Read and verify one against its manifest. Raises InvalidInput, Refused, VerificationFailed."""
        return cls.from_value(decode_json(text, "recipients"), manifest)

    @classmethod
    def from_value(cls, value: object, manifest: SignedManifest) -> EnclaveRecipients:
        """As from_json, from decoded JSON."""
        names = (
            "keygen_session_id",
            "manifest_hash",
            "user_enclave_assignments",
            "recipient_public_keys",
            "signature",
        )
        members = Members(value, "recipients", names)
        recipients = cls(
            keygen_session_id=members.uuid("keygen_session_id"),
            manifest_hash=members.octets("manifest_hash", 32),
            user_enclave_assignments=members.by_uuid("user_enclave_assignments", _read_enclave_id),
            recipient_public_keys=_read_keys(members.raw("recipient_public_keys")),
            signature=members.octets("signature", 64),
        )
        recipients.verify(manifest)
        return recipients

    def verify(self, manifest: SignedManifest) -> None:
        """The rules of section 3.2 and the creator's signature.

        Raises Refused, VerificationFailed, InvalidSignature.
        """
        if self.keygen_session_id != manifest.manifest.keygen_session_id:
            raise VerificationFailed("recipients.keygen_session_id", "is another session")
        if self.manifest_hash != manifest.hash:
            raise VerificationFailed("recipients.manifest_hash", "is another manifest")
        if self.user_enclave_assignments.keys() != manifest.manifest.participant_verifiers.keys():
            raise Refused("recipients.user_enclave_assignments", "do not name exactly the participants")
        if set(self.recipient_public_keys) != set(self.user_enclave_assignments.values()):
            raise Refused("recipients.recipient_public_keys", "are not exactly the assigned enclaves")
        if len(set(self.recipient_public_keys.values())) != len(self.recipient_public_keys):
            raise Refused("recipients.recipient_public_keys", "two enclaves have the same key")
        creator = manifest.manifest.creator_pubkey
        verify_authorization(RECIPIENTS_DOMAIN, self.signed_payload(), self.signature, creator)

    def key_for(self, user_id: str) -> bytes:
        """The key of the enclave a user is assigned to. Raises InvalidInput for a stranger."""
        if user_id not in self.user_enclave_assignments:
            raise InvalidInput("user_id", "is no participant")
        return self.recipient_public_keys[self.user_enclave_assignments[user_id]]

    def signed_payload(self) -> list[object]:
        """What the creator signs: the members without the signature, as an array."""
        return list(self.payload().values())[:4]

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order; enclaves in numeric order."""
        users, keys = self.user_enclave_assignments, self.recipient_public_keys
        return {
            "keygen_session_id": self.keygen_session_id,
            "manifest_hash": integers(self.manifest_hash),
            "user_enclave_assignments": {user: users[user] for user in sorted(users)},
            "recipient_public_keys": {str(enclave): integers(keys[enclave]) for enclave in sorted(keys)},
            "signature": integers(self.signature),
        }

    def to_json(self) -> str:
        """The wire form; from_json gives an equal value."""
        return canonical_json(self.payload()).decode()


def _read_enclave_id(value: object, field: str) -> int:
    return as_integer(value, field, 0, U32)


def _read_keys(value: object) -> dict[int, bytes]:
    field = "recipients.recipient_public_keys"
    entries = as_object(value, field)
    if not 1 <= len(entries) <= _MAX_ENCLAVES:
        raise InvalidInput(field, "are none or too many", f"1 to {_MAX_ENCLAVES}")
    keys: dict[int, bytes] = {}
    for name, entry in entries.items():
        if not (name.isascii() and name.isdigit() and len(name) <= 10 and str(int(name)) == name):
            raise InvalidInput(field, "has a member that is no enclave id", "decimal, without leading zeros")
        keys[as_integer(int(name), field, 0, U32)] = read_point(entry, f"{field}.{name}")
    return dict(sorted(keys.items()))
