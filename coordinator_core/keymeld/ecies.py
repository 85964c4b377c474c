"""ECIES to an enclave: ephemeral point (33) || nonce (12) || AES-256-GCM, no associated data.

Source: keymeld section 1.5.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.keymeld.derivation import hkdf
from coordinator_core.secp256k1 import (
    SecretKey,
    ecdh_x,
    lift_x,
    parse_point,
    point_add,
    point_negate,
    sha256,
)

OVERHEAD_BYTES = 33 + 12 + 16


def encrypt(
    plaintext: bytes,
    recipient: bytes,
    *,
    ephemeral: SecretKey | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """Encrypt to a compressed public key. `ephemeral` and `nonce` are fresh unless a test vector fixes them.

    Raises InvalidInput when the recipient is no point.
    """
    own = ephemeral or SecretKey.generate()
    number = os.urandom(12) if nonce is None else nonce
    key = _shared_key(parse_point(recipient, "recipient"), own)
    return own.public_key + number + AESGCM(key).encrypt(number, plaintext, None)


def decrypt(blob: bytes, recipient: SecretKey) -> bytes:
    """Open a blob.

    Raises InvalidInput for a malformed one, VerificationFailed when it was not sealed to this key.
    """
    if len(blob) < OVERHEAD_BYTES:
        raise InvalidInput("ciphertext", "is too short", f"at least {OVERHEAD_BYTES} bytes")
    key = _shared_key(parse_point(blob[:33], "ciphertext.ephemeral point"), recipient)
    try:
        return AESGCM(key).decrypt(blob[33:45], blob[45:], None)
    except InvalidTag as error:
        raise VerificationFailed("ciphertext", "does not open with this key") from error


def _shared_key(point: bytes, secret: SecretKey) -> bytes:
    return hkdf(sha256(_shared_point(point, secret)), b"keymeld-ecies-encrypt")


def _shared_point(point: bytes, secret: SecretKey) -> bytes:
    # Multiplying a point by a public scalar is not constant time, so secret * point is found from x coordinates
    # that are: S has the x of secret * point, and S + point has the x of (secret + 1) * point for one parity only.
    even = lift_x(ecdh_x(point, secret), "shared point")
    successor = secret.tweaked((1).to_bytes(32, "big"))
    try:
        is_even = point_add([even, point])[1:] == ecdh_x(point, successor)
    finally:
        successor.wipe()
    return even if is_even else point_negate(even)
