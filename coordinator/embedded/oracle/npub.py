"""Nostr public keys as people write them: bech32 with the prefix `npub` (NIP-19), or 64 hex digits."""

from __future__ import annotations

from collections.abc import Sequence

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PREFIX = "npub"


def encode_npub(x_only: bytes) -> str:
    """32 bytes as npub1..."""
    words = _regroup(x_only, 8, 5)
    remainder = _polymod([*_expanded_prefix(), *words, 0, 0, 0, 0, 0, 0]) ^ 1
    checksum = [remainder >> 5 * (5 - index) & 31 for index in range(6)]
    return f"{_PREFIX}1" + "".join(_ALPHABET[word] for word in [*words, *checksum])


def parse_public_key(text: str) -> bytes | None:
    """32 bytes from npub1... or hex, or None when the text is neither."""
    if len(text) == 64:
        try:
            return bytes.fromhex(text)
        except ValueError:
            return None
    return _decode_npub(text)


def _decode_npub(text: str) -> bytes | None:
    prefix, separator, data = text.rpartition("1")
    if prefix != _PREFIX or not separator or len(data) != 58 or any(letter not in _ALPHABET for letter in data):
        return None
    words = [_ALPHABET.index(letter) for letter in data]
    if _polymod([*_expanded_prefix(), *words]) != 1:
        return None
    return bytes(_regroup(words[:-6], 5, 8)[:32])


def _expanded_prefix() -> list[int]:
    return [*(ord(letter) >> 5 for letter in _PREFIX), 0, *(ord(letter) & 31 for letter in _PREFIX)]


def _polymod(words: Sequence[int]) -> int:
    check = 1
    for word in words:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check


def _regroup(values: Sequence[int], width: int, target: int) -> list[int]:
    number, bits, result = 0, 0, []
    for value in values:
        number, bits = number << width | value, bits + width
        while bits >= target:
            bits -= target
            result.append(number >> bits & ((1 << target) - 1))
    if bits and target < width:
        result.append(number << target - bits & ((1 << target) - 1))
    return result
