"""Keys and event ids as text (NIP-19): npub, nsec, note."""

from __future__ import annotations

from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.bech32 import bech32_decode, bech32_encode
from coordinator_core.secp256k1 import SecretKey, lift_x


def npub(public_key: bytes) -> str:
    """Text of an x-only key, 32 bytes. Raises InvalidInput."""
    lift_x(public_key, field="public key")
    return bech32_encode("npub", public_key)


def parse_npub(text: str, field: str = "npub") -> bytes:
    """The x-only key, 32 bytes. Raises InvalidInput."""
    key = _exactly_32(bech32_decode(text, "npub", field), field)
    lift_x(key, field=field)
    return key


def nsec(secret: SecretKey) -> str:
    """Text of a secret key: itself a secret, to be shown once to its owner and never logged."""
    return bech32_encode("nsec", secret.reveal())


def parse_nsec(text: str, field: str = "nsec") -> SecretKey:
    """The secret key. Raises InvalidInput, which never shows the text."""
    return SecretKey.from_bytes(_exactly_32(bech32_decode(text, "nsec", field), field), field)


def note(event_id: bytes) -> str:
    """Text of an event id, 32 bytes. Raises InvalidInput."""
    return bech32_encode("note", _exactly_32(event_id, "event id"))


def parse_note(text: str, field: str = "note") -> bytes:
    """The event id, 32 bytes. Raises InvalidInput."""
    return _exactly_32(bech32_decode(text, "note", field), field)


def _exactly_32(data: bytes, field: str) -> bytes:
    if len(data) != 32:
        raise InvalidInput(field, f"holds {len(data)} bytes", "32 bytes")
    return data
