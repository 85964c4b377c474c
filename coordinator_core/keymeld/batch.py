"""The signing batch: at most 100 encrypted items for one session, signed as ciphertexts.

Source: keymeld section 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from coordinator_core.errors import InvalidInput
from coordinator_core.keymeld.batch_item import EncryptedItem, batch_payload
from coordinator_core.keymeld.canonical import (
    authorization_digest,
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.manifest import MAX_TIMEOUT, SignedManifest
from coordinator_core.keymeld.members import Members, as_uuid, decode_json
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import Seconds

BATCH_DOMAIN: Final = "signing-batch"
MAX_BATCH_ITEMS: Final = 100


class SignedBatch(Struct, frozen=True):
    """A batch for one signing session, signed by the manifest's signing key.

    Keep it: its ciphertexts are random.
    """

    keygen_session_id: str
    signing_session_id: str
    timeout_secs: Seconds
    items: tuple[EncryptedItem, ...]
    signature: bytes

    @classmethod
    def sign(
        cls,
        keygen_session_id: str,
        signing_session_id: str,
        timeout_secs: Seconds,
        items: Sequence[EncryptedItem],
        signing_key: SecretKey,
    ) -> SignedBatch:
        """Sign encrypted items for one session; for a spare session, those of the batch it replaces.

        Raises InvalidInput for none, more than 100, or a repeated item id.
        """
        unsigned = cls(
            as_uuid(keygen_session_id, "keygen_session_id"),
            as_uuid(signing_session_id, "signing_session_id"),
            timeout_secs,
            tuple(items),
            b"",
        )
        unsigned._check()
        signature = sign_authorization(BATCH_DOMAIN, unsigned.signed_payload(), signing_key)
        return cls(keygen_session_id, signing_session_id, timeout_secs, unsigned.items, signature)

    @classmethod
    def from_json(cls, text: str | bytes) -> SignedBatch:
        """Read a stored one. Raises InvalidInput; the signature is `verify`'s matter."""
        names = ("keygen_session_id", "signing_session_id", "timeout_secs", "items", "signature")
        members = Members(decode_json(text, "batch"), "batch", names)
        entries = members.array("items", MAX_BATCH_ITEMS)
        batch = cls(
            keygen_session_id=members.uuid("keygen_session_id"),
            signing_session_id=members.uuid("signing_session_id"),
            timeout_secs=Seconds(members.integer("timeout_secs", 1, MAX_TIMEOUT)),
            items=tuple(
                EncryptedItem.from_value(entry, f"batch.items[{index}]") for index, entry in enumerate(entries)
            ),
            signature=members.octets("signature", 64),
        )
        batch._check()
        return batch

    def verify(self, manifest: SignedManifest) -> None:
        """Raises InvalidInput for another session, InvalidSignature for another signer than the manifest's."""
        if self.keygen_session_id != manifest.manifest.keygen_session_id:
            raise InvalidInput("batch.keygen_session_id", "is another session")
        verify_authorization(BATCH_DOMAIN, self.signed_payload(), self.signature, manifest.manifest.signing_pubkey)

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the signing key signed."""
        return authorization_digest(BATCH_DOMAIN, self.signed_payload())

    def signed_payload(self) -> list[object]:
        """What the signing key signs."""
        return [
            self.keygen_session_id,
            self.signing_session_id,
            self.timeout_secs,
            batch_payload(self.items),
        ]

    def to_json(self) -> str:
        """For storage; from_json gives an equal value."""
        return canonical_json(
            {
                "keygen_session_id": self.keygen_session_id,
                "signing_session_id": self.signing_session_id,
                "timeout_secs": self.timeout_secs,
                "items": batch_payload(self.items),
                "signature": integers(self.signature),
            }
        ).decode()

    def _check(self) -> None:
        if not 1 <= len(self.items) <= MAX_BATCH_ITEMS:
            raise InvalidInput("batch.items", f"are {len(self.items)}", f"1 to {MAX_BATCH_ITEMS}")
        if len({item.batch_item_id for item in self.items}) != len(self.items):
            raise InvalidInput("batch.items", "an id is used twice")
        if not 1 <= self.timeout_secs <= MAX_TIMEOUT:
            raise InvalidInput("batch.timeout_secs", "is out of range", f"1 to {MAX_TIMEOUT}")
