"""Bech32 (BIP173) without the 90 character limit, as NIP-19 uses it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coordinator_core.errors import InvalidInput

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_MAX_LENGTH: Final = 5_000


def bech32_encode(prefix: str, data: bytes) -> str:
    """Text of `data` with this lower-case prefix."""
    words = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *words, 0, 0, 0, 0, 0, 0]) ^ 1
    words += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{prefix}1{''.join(_ALPHABET[word] for word in words)}"


def bech32_decode(text: str, prefix: str, field: str) -> bytes:
    """The bytes of text with this prefix. Raises InvalidInput, which never shows the text: it may be
    a secret.
    """
    fix = f"bech32 text that begins with {prefix}1"
    lower = text.lower()
    if len(text) > _MAX_LENGTH or text not in (lower, text.upper()) or not text.isascii():
        raise InvalidInput(field, "mixes cases or is too long", fix)
    found, _, body = lower.rpartition("1")
    if found != prefix or len(body) < 6 or any(character not in _ALPHABET for character in body):
        raise InvalidInput(field, "has another prefix or foreign characters", fix)
    words = [_ALPHABET.index(character) for character in body]
    if _polymod([*_expand(prefix), *words]) != 1:
        raise InvalidInput(field, "has a wrong checksum", "copy it again")
    return bytes(_regroup(words[:-6], 5, 8, pad=False, field=field))


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(words: Iterable[int]) -> int:
    state = 1
    for word in words:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ word
        for bit, generator in enumerate(_GENERATOR):
            state ^= generator if top >> bit & 1 else 0
    return state


def _regroup(values: Iterable[int], width: int, into: int, *, pad: bool, field: str = "data") -> list[int]:
    """Repack bits; without `pad` what is left over must be fewer than a group of zero bits."""
    accumulator = bits = 0
    groups: list[int] = []
    for value in values:
        accumulator = (accumulator << width | value) & 0xFFFF
        bits += width
        while bits >= into:
            bits -= into
            groups.append(accumulator >> bits & (1 << into) - 1)
    rest = accumulator & (1 << bits) - 1
    if pad and bits:
        groups.append(rest << into - bits)
    elif not pad and (bits >= width or rest):
        raise InvalidInput(field, "has bits left over", "copy it again")
    return groups
