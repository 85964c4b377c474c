"""The random numbers that a batch multiplies its points with, and their digits."""

from __future__ import annotations

import os
from binascii import b2a_base64
from typing import Final

SOUND_BITS: Final = 96
"""Size of coefficients that keep out whoever chose the points.

They are drawn from the system after the points are known, not hashed from them: nobody can search for points that
pass, and every try has the same chance of 2^-96.
"""
FAULT_BITS: Final = 64
"""Size of coefficients that find a fault in rows that nobody else had a hand in."""
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FROM_BASE64: Final = bytes.maketrans(_BASE64, bytes(range(64)))
_FROM_HEX: Final = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


def digit_bits(pairs: int) -> int:
    """The width of digits that is quickest for so many pairs of points: 4, 6 or 8."""
    return 4 if pairs < 500 else 6 if pairs < 2500 else 8


class Coefficients:
    """Random numbers for pairs of points: a_j for the first point of pair j, z * a_j for the second.

    The a_j are uniform over at least 2^size integers around zero, z over the scalars. If a point that should be
    infinity is not, the weighted sum of all is infinity still with a chance of at most 2^-size, plus 2^-255 for the
    one z that lets two points of a pair cancel.

    A digit has `bits` bits and counts from -half to half - 1; it is stored with half added.
    """

    __slots__ = ("_raw", "_size", "bits", "half", "pairs", "windows", "z")

    def __init__(self, pairs: int, size: int = SOUND_BITS) -> None:
        self.pairs = pairs
        self.bits = digit_bits(pairs)
        self.half = 1 << (self.bits - 1)
        # Three bytes are four digits of six bits.
        step = 3 if self.bits == 6 else 1
        self._size = -(-size // (8 * step)) * step
        self.windows = 8 * self._size // self.bits
        self._raw = os.urandom(self._size * pairs)
        self.z = int.from_bytes(os.urandom(32), "big")

    def digits(self) -> list[bytes]:
        """One string a window, the most significant first; in it one digit a pair."""
        if self.bits == 8:
            digits = self._raw
        elif self.bits == 6:
            digits = b2a_base64(self._raw, newline=False).translate(_FROM_BASE64)
        else:
            digits = self._raw.hex().encode().translate(_FROM_HEX)
        return [digits[window :: self.windows] for window in range(self.windows)]

    def numbers(self) -> list[int]:
        """Every a_j."""
        size, raw, bias = self._size, self._raw, self.half * self._ones
        return [int.from_bytes(raw[start : start + size], "big") - bias for start in range(0, len(raw), size)]

    @property
    def bucket_weight(self) -> int:
        """The sum of what the buckets of all sizes in all windows are multiplied with."""
        return self.half * (self.half + 1) // 2 * self._ones

    @property
    def _ones(self) -> int:
        """A one in every window."""
        return sum(1 << self.bits * window for window in range(self.windows))
