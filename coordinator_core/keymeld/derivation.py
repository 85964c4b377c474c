"""Keys derived from the session secret and from a participant's key, HKDF-SHA256 throughout.

Source: keymeld section 1.4.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

_SESSION_SALT = b"keymeld-session-auth-v1"


def hkdf(key_material: bytes, info: bytes, salt: bytes | None = None) -> bytes:
    """32 bytes of HKDF-SHA256 (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key_material)


def session_auth_key(session_secret: Secret) -> SecretKey:
    """The key behind the manifest's session_public_key; it signs X-Session-Signature."""
    return SecretKey.from_bytes(hkdf(session_secret.reveal(), b"session-auth-key", _SESSION_SALT))


def user_auth_key(participant_key: SecretKey, keygen_session_id: str) -> SecretKey:
    """A participant's key of one session; it signs X-User-Signature and approvals."""
    info = b"keymeld-session-auth-v1:" + keygen_session_id.encode()
    return SecretKey.from_bytes(hkdf(participant_key.reveal(), info))


def payload_key(session_secret: Secret, context: str) -> bytes:
    """The AES-256 key of the encrypted fields of one context."""
    return hkdf(session_secret.reveal(), context.encode())
