"""ECIES to a secp256k1 key (keymeld section 1.5): ephemeral point (33) || nonce (12) || AES-256-GCM with its tag."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coordinator.embedded.keymeld.crypto.derivations import hkdf
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey, ecdh_x, lift_x, parse_point, point_add, point_negate, sha256

_MINIMUM = 33 + 12 + 16
_ONE = (1).to_bytes(32, "big")


def seal(plaintext: bytes, recipient: bytes, *, ephemeral: SecretKey, nonce: bytes) -> bytes:
    """Encrypt to a 33-byte point under a given ephemeral key and nonce; neither may ever serve twice."""
    return ephemeral.public_key + nonce + AESGCM(_key(recipient, ephemeral)).encrypt(nonce, plaintext, None)


def encrypt(plaintext: bytes, recipient: bytes) -> str:
    """Encrypt to a 33-byte point, lowercase hex. Raises InvalidInput unless it is a point."""
    ephemeral = SecretKey.generate()
    try:
        return seal(plaintext, recipient, ephemeral=ephemeral, nonce=secrets.token_bytes(12)).hex()
    finally:
        ephemeral.wipe()


def decrypt(ciphertext: bytes, secret: SecretKey, field: str) -> bytes:
    """Open an ECIES blob. Raises InvalidInput naming `field` when it was not made for this key."""
    if len(ciphertext) < _MINIMUM:
        raise InvalidInput(field, "is shorter than an ECIES ciphertext", f"at least {_MINIMUM} bytes")
    ephemeral = parse_point(ciphertext[:33], field)
    try:
        return AESGCM(_key(ephemeral, secret)).decrypt(ciphertext[33:45], ciphertext[45:], None)
    except InvalidTag:
        raise InvalidInput(field, "does not decrypt", "encrypt to this enclave's current key") from None


def _key(point: bytes, secret: SecretKey) -> bytes:
    return hkdf(sha256(_shared_point(point, secret)), "keymeld-ecies-encrypt")


def _shared_point(point: bytes, secret: SecretKey) -> bytes:
    # The hash covers the parity of y, which an x-only exchange does not give. The x of (secret + 1) * point tells
    # the two candidates apart, and the secret stays in constant-time code.
    successor = secret.tweaked(_ONE)
    try:
        next_x = ecdh_x(point, successor)
    finally:
        successor.wipe()
    candidate = lift_x(ecdh_x(point, secret))
    return candidate if point_add([candidate, point])[1:] == next_x else point_negate(candidate)
