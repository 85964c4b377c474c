"""Bech32 (BIP173) without its length limit, as BOLT11 uses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from coordinator.embedded.lightning.errors import LndError

ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_WORDS: Final = 6


def encode(prefix: str, words: Sequence[int]) -> str:
    """Prefix (lower case), separator, five-bit words, checksum."""
    return f"{prefix}1{_letters(words)}{_letters(_checksum(prefix, words))}"


def decode(text: str) -> tuple[str, list[int]]:
    """The prefix and the five-bit words, after the checksum was verified. Raises LndError."""
    if text.lower() != text and text.upper() != text:
        raise LndError("string not all lowercase or all uppercase")
    text = text.lower()
    if any(not 33 <= ord(letter) <= 126 for letter in text):
        raise LndError("invalid character in string")
    separator = text.rfind("1")
    if separator < 1 or separator + _CHECKSUM_WORDS + 1 > len(text):
        raise LndError("invalid index of 1")
    prefix, letters = text[:separator], text[separator + 1 :]
    stranger = next((letter for letter in letters if letter not in _VALUES), None)
    if stranger is not None:
        raise LndError(f"failed converting data to bytes: invalid character not part of charset: {ord(stranger)}")
    words = [_VALUES[letter] for letter in letters]
    data, given = words[:-_CHECKSUM_WORDS], words[-_CHECKSUM_WORDS:]
    expected = _checksum(prefix, data)
    if given != expected:
        raise LndError(f"checksum failed. Expected {_letters(expected)}, got {_letters(given)}.")
    return prefix, data


def to_words(data: bytes) -> list[int]:
    """Bytes as five-bit words, the last one filled up with zero bits."""
    bits, count = int.from_bytes(data), len(data) * 8
    padding = -count % 5
    bits <<= padding
    return [bits >> shift & 31 for shift in range(count + padding - 5, -1, -5)]


def from_words(words: Sequence[int], *, strict: bool = True) -> bytes:
    """Five-bit words as bytes; the bits left over are dropped and, if strict, must be zeros. Raises LndError."""
    spare = len(words) * 5 % 8
    number = to_int(words)
    if strict and (spare >= 5 or number & ((1 << spare) - 1)):
        raise LndError("invalid padding in a field")
    return (number >> spare).to_bytes(len(words) * 5 // 8)


def to_int(words: Iterable[int]) -> int:
    """Five-bit words as one big-endian number."""
    number = 0
    for word in words:
        number = number << 5 | word
    return number


def int_to_words(number: int) -> list[int]:
    """A number in as few five-bit words as hold it; zero is one word."""
    words = [number & 31]
    while number := number >> 5:
        words.append(number & 31)
    return words[::-1]


def _letters(words: Iterable[int]) -> str:
    return "".join(ALPHABET[word] for word in words)


def _polymod(values: Iterable[int]) -> int:
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                state ^= generator
    return state


def _checksum(prefix: str, words: Sequence[int]) -> list[int]:
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    state = _polymod([*expanded, *words, *[0] * _CHECKSUM_WORDS]) ^ 1
    return [state >> 5 * (5 - place) & 31 for place in range(_CHECKSUM_WORDS)]
