"""The batch to sign, authorized by the manifest's signing key (keymeld section 3.6)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    Octets64,
    Unsigned,
    Uuid,
    authorization_digest,
    check_signature,
)
from coordinator_core.errors import InvalidInput


class AuthorizedItem(msgspec.Struct, frozen=True):
    """One item as signatures cover it: identifiers and the ciphertext strings exactly as sent."""

    batch_item_id: Uuid
    encrypted_message: str
    encrypted_adaptor_configs: str | None
    encrypted_taproot_tweak: str
    subset_id: Uuid | None


class SigningAuthorization(msgspec.Struct, frozen=True):
    """The authority's signature over a batch."""

    timeout_secs: Unsigned
    signature: Octets64

    def digest(self, keygen_id: str, signing_id: str, batch: Sequence[AuthorizedItem]) -> bytes:
        """What the signing key signs."""
        return authorization_digest("signing-batch", [keygen_id, signing_id, self.timeout_secs, batch])

    def verify(self, signing_key: bytes, keygen_id: str, signing_id: str, batch: Sequence[AuthorizedItem]) -> None:
        """Raises InvalidInput for an empty batch, InvalidSignature when the signature is not by `signing_key`."""
        if not batch:
            raise InvalidInput("batch_items", "is empty", "give at least one item")
        digest = self.digest(keygen_id, signing_id, batch)
        check_signature("batch signature", self.signature, digest, signing_key)
