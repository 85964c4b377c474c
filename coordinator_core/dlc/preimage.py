"""Preimages of ticket and payout hashes: exactly 32 bytes, as Lightning has them."""

from __future__ import annotations

import hmac

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import sha256
from coordinator_core.secret import Secret


def require_preimage(preimage: bytes | Secret, expected_hash: bytes, field: str) -> bytes:
    """The 32 bytes if they hash to `expected_hash`. Raises InvalidInput, never showing them."""
    revealed = preimage.reveal() if isinstance(preimage, Secret) else preimage
    if len(revealed) != 32:
        raise InvalidInput(field, f"has {len(revealed)} bytes", "32 bytes")
    if not hmac.compare_digest(sha256(revealed), expected_hash):
        raise InvalidInput(field, "does not hash to the value in the contract", "the preimage of that hash")
    return revealed
