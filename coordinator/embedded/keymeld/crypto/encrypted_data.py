"""EncryptedData under the session secret (keymeld section 1.6): len(context) || context || nonce || AES-256-GCM."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coordinator.embedded.keymeld.crypto.derivations import hkdf
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret

TAPROOT_TWEAK = "taproot_tweak"
SESSION_DATA = "session_data"
ADAPTOR_CONFIGS = "adaptor_configs"
SIGNATURE = "signature"
ADAPTOR_SIGNATURES = "adaptor_signatures"
AGGREGATE_PUBLIC_KEY = "aggregate_public_key"
SUBSET_AGGREGATE_PUBLIC_KEY = "subset_aggregate_public_key"
ROSTER = "authorized_participant_roster_v1"
NONCE_DATA = "nonce_data"
SIGNATURE_DATA = "signature_data"


class SessionCipher:
    """Encrypts and decrypts the payloads of one session. Keys of the contexts are derived once."""

    def __init__(self, session_secret: Secret) -> None:
        self._secret = session_secret
        self._keys: dict[str, AESGCM] = {}

    def __repr__(self) -> str:
        return "***"

    def encrypt(self, plaintext: bytes, context: str, *, nonce: bytes | None = None) -> str:
        """Lowercase hex of EncryptedData; a fresh nonce unless one is given, which may never serve twice."""
        nonce = secrets.token_bytes(12) if nonce is None else nonce
        header = bytes((len(context),)) + context.encode()
        return (header + nonce + self._key(context).encrypt(nonce, plaintext, None)).hex()

    def decrypt(self, encrypted: str, context: str, field: str) -> bytes:
        """The plaintext. Raises InvalidInput for bad hex, another context, or another session's key."""
        try:
            data = bytes.fromhex(encrypted)
        except ValueError:
            raise InvalidInput(field, "is not hexadecimal", "give lowercase hex") from None
        header = bytes((len(context),)) + context.encode()
        if not data.startswith(header):
            raise InvalidInput(field, "was encrypted for another context", f"the context is {context}")
        body = data[len(header) :]
        if len(body) < 12 + 16:
            raise InvalidInput(field, "is too short to be encrypted data", "a nonce, a ciphertext and a tag")
        try:
            return self._key(context).decrypt(body[:12], body[12:], None)
        except InvalidTag:
            raise InvalidInput(field, "does not decrypt", "encrypt with this session's secret") from None

    def _key(self, context: str) -> AESGCM:
        cipher = self._keys.get(context)
        if cipher is None:
            cipher = self._keys[context] = AESGCM(hkdf(self._secret.reveal(), context))
        return cipher
