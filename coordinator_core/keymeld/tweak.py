"""The taproot tweak JSON.

Contracts made here sign with untweaked aggregates only, so any other tweak is refused.
"""

from __future__ import annotations

from typing import Final

from coordinator_core.errors import Refused
from coordinator_core.keymeld.canonical import canonical_json
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field, encrypt_field
from coordinator_core.keymeld.members import decode_json
from coordinator_core.secret import Secret

NO_TWEAK: Final[dict[str, str]] = {"type": "none"}


def encrypt_no_tweak(session_secret: Secret, context: Context) -> str:
    """The tweak "none" as a field; context TAPROOT_TWEAK in a manifest, SESSION_DATA in a batch item."""
    return encrypt_field(session_secret, context, canonical_json(NO_TWEAK))


def require_no_tweak(value: object, field: str) -> None:
    """Raises Refused unless the tweak JSON is exactly "none"."""
    if value != NO_TWEAK:
        raise Refused(field, "is a tweak", 'only {"type":"none"} is signed')


def require_encrypted_no_tweak(session_secret: Secret, context: Context, text: object, field: str) -> None:
    """Raises Refused unless the field decrypts to "none", VerificationFailed when it does not decrypt."""
    require_no_tweak(decode_json(decrypt_field(session_secret, context, text, field), field), field)
