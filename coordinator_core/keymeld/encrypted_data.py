"""Fields encrypted under the session secret (keymeld section 1.6).

Lower-case hex of len(context) || context || nonce (12) || AES-256-GCM, no associated data.
"""

from __future__ import annotations

import os
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.derivation import payload_key
from coordinator_core.keymeld.members import as_hex
from coordinator_core.secret import Secret


class Context(StrEnum):
    """What a field is for.

    The name is part of key and ciphertext, so no field can stand in another's place.
    """

    TAPROOT_TWEAK = "taproot_tweak"
    SESSION_DATA = "session_data"
    ADAPTOR_CONFIGS = "adaptor_configs"
    SIGNATURE = "signature"
    ADAPTOR_SIGNATURES = "adaptor_signatures"
    AGGREGATE_PUBLIC_KEY = "aggregate_public_key"
    SUBSET_AGGREGATE_PUBLIC_KEY = "subset_aggregate_public_key"
    KEYGEN_SESSION = "keygen_session"
    KEYGEN_PARTICIPANT_SESSION = "keygen_participant_session"
    ROSTER = "authorized_participant_roster_v1"


def encrypt_field(session_secret: Secret, context: Context, plaintext: bytes, *, nonce: bytes | None = None) -> str:
    """Encrypt one field: lower-case hex.

    `nonce` (12 bytes) is fresh unless the caller fixes it; a fixed one belongs to one plaintext only.
    """
    number = os.urandom(12) if nonce is None else nonce
    name = context.value.encode()
    sealed = AESGCM(payload_key(session_secret, context.value)).encrypt(number, plaintext, None)
    return (bytes([len(name)]) + name + number + sealed).hex()


def decrypt_field(
    session_secret: Secret, context: Context, text: object, field: str, *, fault: Fault = Fault.SIGNER
) -> bytes:
    """Open one field.

    Raises InvalidInput for another shape or context, VerificationFailed when it does not decrypt.
    """
    blob = as_hex(text, field)
    name = context.value.encode()
    prefix = bytes([len(name)]) + name
    if not blob.startswith(prefix):
        raise InvalidInput(field, "is encrypted for another purpose", f"context {context.value}", fault=fault)
    body = blob[len(prefix) :]
    if len(body) < 28:
        raise InvalidInput(field, "is too short", fault=fault)
    try:
        return AESGCM(payload_key(session_secret, context.value)).decrypt(body[:12], body[12:], None)
    except InvalidTag as error:
        raise VerificationFailed(field, "does not decrypt with the session secret", fault=fault) from error
