"""Bech32 (BIP173, without its length limit) as 5-bit words, in which BOLT11 counts its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from coordinator_core.errors import InvalidInput

_ALPHABET: Final = {character: word for word, character in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_WORDS: Final = 6
MAX_LENGTH: Final = 7089
"""Characters of the largest QR code in numeric mode; longer text is not an invoice anyone can show."""


def decode_words(text: str, field: str) -> tuple[str, list[int]]:
    """(human-readable part in lower case, data words without checksum). Raises InvalidInput."""
    if len(text) > MAX_LENGTH:
        raise InvalidInput(field, f"has {len(text)} characters", f"give at most {MAX_LENGTH}")
    lower = text.lower()
    if not text.isascii() or text not in (lower, text.upper()):
        raise InvalidInput(field, "mixes upper and lower case, or is not ASCII", "give the invoice as it was issued")
    readable, separator, data = lower.rpartition("1")
    if not separator or not readable or len(data) < _CHECKSUM_WORDS:
        raise InvalidInput(field, "is not bech32 text", "give an invoice that begins with 'ln'")
    if any(character not in _ALPHABET for character in data) or not readable.isprintable():
        raise InvalidInput(field, "holds a character that bech32 does not use", "copy the invoice again")
    words = [_ALPHABET[character] for character in data]
    if _checksum(readable, words) != 1:
        raise InvalidInput(field, "has a wrong checksum", "copy the invoice again")
    return readable, words[:-_CHECKSUM_WORDS]


def words_to_int(words: Iterable[int]) -> int:
    """Words as one big-endian number."""
    value = 0
    for word in words:
        value = value << 5 | word
    return value


def words_to_bytes(words: Sequence[int], field: str) -> bytes:
    """Words as bytes; what is left over must be fewer than five zero bits. Raises InvalidInput."""
    padding = len(words) * 5 % 8
    value = words_to_int(words)
    if padding >= 5 or value & ((1 << padding) - 1):
        raise InvalidInput(field, "is not padded with zero bits", "ask the payee for another invoice")
    return (value >> padding).to_bytes(len(words) * 5 // 8, "big")


def words_to_padded_bytes(words: Sequence[int]) -> bytes:
    """Words as bytes, filled up with zero bits: what an invoice's signature covers."""
    padding = -len(words) * 5 % 8
    return (words_to_int(words) << padding).to_bytes((len(words) * 5 + padding) // 8, "big")


def _checksum(readable: str, words: Sequence[int]) -> int:
    codes = readable.encode("ascii")
    state = 1
    for value in (*(code >> 5 for code in codes), 0, *(code & 31 for code in codes), *words):
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                state ^= generator
    return state
