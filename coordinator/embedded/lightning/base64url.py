"""Base64 as LND's REST gateway reads it: which alphabet and which padding where, and at which byte it stops."""

from __future__ import annotations

import base64
from typing import Final

from coordinator.embedded.lightning.errors import Code, LndError

_COMMON: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_STANDARD: Final = _COMMON | {"+", "/"}
_URL_SAFE: Final = _COMMON | {"-", "_"}


def encode(data: bytes) -> str:
    """Standard alphabet with padding, as in every answer."""
    return base64.b64encode(data).decode()


def decode_parameter(text: str) -> bytes:
    """From a path or a query: either alphabet, padding required. Raises LndError (code 3)."""
    if _corrupt_at(text, _STANDARD) is None:
        return base64.b64decode(text)
    position = _corrupt_at(text, _URL_SAFE)
    if position is None:
        return base64.urlsafe_b64decode(text)
    raise LndError(f"illegal base64 data at input byte {position}", Code.INVALID_ARGUMENT)


def decode_json(text: str) -> bytes | None:
    """From a JSON body: either alphabet, padded or not; None when it is neither."""
    padded = text if len(text) % 4 == 0 else text + "=" * (-len(text) % 4)
    alphabet = _URL_SAFE if "-" in text or "_" in text else _STANDARD
    if _corrupt_at(padded, alphabet) is not None:
        return None
    return base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))


def _corrupt_at(text: str, alphabet: frozenset[str]) -> int | None:
    """Where decoding stops: a letter outside the alphabet, or the start of a group that is cut off."""
    letters = text.rstrip("=")
    stranger = next((place for place, letter in enumerate(letters) if letter not in alphabet), None)
    if stranger is not None:
        return stranger
    padding = len(text) - len(letters)
    if padding > 2 or len(letters) % 4 == 1:
        return len(letters)
    if len(text) % 4:
        return len(letters) // 4 * 4
    return None
