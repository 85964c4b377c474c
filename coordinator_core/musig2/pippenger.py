"""A sum of many points times random numbers of 64 or 128 bits, over the library's point addition alone.

The library exports no multi-scalar multiplication, but its combine() adds any number of points in one call and so
serves as the bucket adder of Pippenger's algorithm. Everything here is public and takes variable time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from coordinator_core.secp256k1.native import ctx, ffi, lib

SOUND_BITS: Final = 128
"""Size of coefficients that keep out whoever chose the points."""
FAULT_BITS: Final = 64
"""Size of coefficients that find a fault in rows that nobody else had a hand in."""
_POINTERS: Final = ffi.typeof("secp256k1_pubkey *[]")
_DIGITS: Final = bytes.maketrans(bytes(range(36)), b"0123456789abcdefghijklmnopqrstuvwxyz")


def digit_bits(count: int) -> int:
    """The bucket width that is quickest for so many points."""
    for limit, bits in ((260, 3), (900, 4), (5000, 5)):
        if count < limit:
            return bits
    return 8


class Coefficients:
    """Random numbers of `size` bits, kept as little-endian digits: digit w of number i is `digits[w * count + i]`."""

    __slots__ = ("bits", "count", "digits", "windows")

    def __init__(self, count: int, size: int = SOUND_BITS) -> None:
        self.count = count
        self.bits = digit_bits(count)
        self.windows = -(-size // self.bits)
        digits = os.urandom(self.windows * count)
        if self.bits < 8:
            digits = digits.translate(bytes(byte & ((1 << self.bits) - 1) for byte in range(256)))
        self.digits = digits

    def numbers(self) -> list[int]:
        """The coefficients as integers."""
        count = self.count
        if self.bits == 8:
            return [int.from_bytes(self.digits[i::count], "little") for i in range(count)]
        text, base = self.digits.translate(_DIGITS), 1 << self.bits
        return [int(text[i::count][::-1], base) for i in range(count)]


def multiply(points: Sequence[Any], coefficients: Coefficients) -> Any | None:
    """The sum of coefficient i times native point i, or None for infinity."""
    count, bits = coefficients.count, coefficients.bits
    weights: list[Any | None] = []
    buckets = _Buckets(bits)
    for window in range(coefficients.windows):
        digits = coefficients.digits[window * count : (window + 1) * count]
        weights.extend(buckets.bit_sums(points, digits))
    return _double_and_add(weights)


class _Buckets:
    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._sums: Any = ffi.new("secp256k1_pubkey[]", self._size)
        self._members = [[digit for digit in range(self._size) if digit >> bit & 1] for bit in range(bits)]

    def bit_sums(self, points: Sequence[Any], digits: bytes) -> list[Any | None]:
        """For each bit of a digit: the sum of the points whose digit has that bit."""
        buckets: list[list[Any]] = [[] for _ in range(self._size)]
        append = [bucket.append for bucket in buckets]
        for point, digit in zip(points, digits, strict=True):
            append[digit](point)
        sums = [None, *(_sum(buckets[digit], self._sums + digit) for digit in range(1, self._size))]
        return [
            _sum([sums[d] for d in members if sums[d] is not None], ffi.new("secp256k1_pubkey *"))
            for members in self._members
        ]


def _sum(points: list[Any], output: Any) -> Any | None:
    if len(points) == 1:
        return points[0]
    if not points:
        return None
    found = lib.secp256k1_ec_pubkey_combine(ctx, output, ffi.new(_POINTERS, points), len(points))
    return output if found else None


def _double_and_add(weights: list[Any | None]) -> Any | None:
    """The sum of 2^k * weights[k], most significant first."""
    total: Any | None = None
    outputs = (ffi.new("secp256k1_pubkey *"), ffi.new("secp256k1_pubkey *"))
    for step, weight in enumerate(reversed(weights)):
        terms: list[Any] = [] if total is None else [total, total]
        if weight is not None:
            terms.append(weight)
        # A sum of one is the weight itself; the output alternates because the total is read while it is written.
        total = _sum(terms, outputs[step & 1])
    return total
