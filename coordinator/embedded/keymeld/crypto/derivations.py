"""Keys derived by HKDF-SHA256 (keymeld section 1.4). The output is used as a scalar without reduction."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coordinator_core.secp256k1 import SecretKey


def hkdf(key_material: bytes, info: str, salt: bytes | None = None) -> bytes:
    """32 bytes of HKDF-SHA256; no salt means 32 zero bytes (RFC 5869)."""
    return HKDF(SHA256(), 32, salt, info.encode()).derive(key_material)


def session_auth_key(session_secret: bytes) -> SecretKey:
    """The key behind X-Session-Signature. Raises InvalidInput for the 2^-128 outputs that are no scalar."""
    return SecretKey.from_bytes(hkdf(session_secret, "session-auth-key", b"keymeld-session-auth-v1"))


def user_auth_key(private_key: bytes, keygen_session_id: str) -> SecretKey:
    """A participant's key behind X-User-Signature and approvals of one keygen session."""
    return SecretKey.from_bytes(hkdf(private_key, f"keymeld-session-auth-v1:{keygen_session_id}"))
