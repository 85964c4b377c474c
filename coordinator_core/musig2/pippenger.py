"""A sum of many points times random numbers of 64 or 96 bits, over the library's point addition alone.

The library exports no multi-scalar multiplication, but its combine() adds any number of points in one call and so
serves as the bucket adder of Pippenger's algorithm. Everything here is public and takes variable time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from coordinator_core.secp256k1.native import ctx, ffi, lib

SOUND_BITS: Final = 96
"""Size of coefficients that keep out whoever chose the points.

They are drawn from the system after the points are known, not hashed from them: nobody can search for points that
pass, and every try has the same chance of 2^-96.
"""
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
    count, bits, windows = coefficients.count, coefficients.bits, coefficients.windows
    memory = ffi.new("secp256k1_pubkey[]", windows << bits)
    positions: list[list[Any]] = []
    for window in range(windows):
        digits = coefficients.digits[window * count : (window + 1) * count]
        sums = _bucket_sums(points, digits, memory + (window << bits), 1 << bits)
        for bit in range(bits):
            positions.append([total for digit, total in sums.items() if digit >> bit & 1])
    return _double_and_add(positions)


def _bucket_sums(points: Sequence[Any], digits: bytes, outputs: Any, size: int) -> dict[int, Any]:
    """By digit: the sum of the points that have it. Digit 0 counts for nothing and is left out."""
    buckets: list[list[Any]] = [[] for _ in range(size)]
    append = [bucket.append for bucket in buckets]
    for point, digit in zip(points, digits, strict=True):
        append[digit](point)
    sums = ((digit, _sum(buckets[digit], outputs + digit)) for digit in range(1, size))
    return {digit: total for digit, total in sums if total is not None}


def _sum(points: list[Any], output: Any) -> Any | None:
    if len(points) == 1:
        return points[0]
    if not points:
        return None
    found = lib.secp256k1_ec_pubkey_combine(ctx, output, ffi.new(_POINTERS, points), len(points))
    return output if found else None


def _double_and_add(positions: list[list[Any]]) -> Any | None:
    """The sum over k of 2^k times each point of positions[k]: a doubling and all additions in one call."""
    total: Any | None = None
    outputs = (ffi.new("secp256k1_pubkey *"), ffi.new("secp256k1_pubkey *"))
    for step, terms in enumerate(reversed(positions)):
        # The output alternates because the total is read while it is written.
        total = _sum(terms if total is None else [total, total, *terms], outputs[step & 1])
    return total
