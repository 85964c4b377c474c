"""A sum of many points times random numbers, over the library's addition of points alone.

The library exports no multi-scalar multiplication, but it adds any number of points in one call and so serves as the
bucket adder of Pippenger's algorithm, here with signed digits and two points at a time. Everything is public and takes
variable time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple

from coordinator_core.musig2.coefficients import Coefficients
from coordinator_core.musig2.layout import EVEN_POINT
from coordinator_core.musig2.linear import linear_combination
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.secp256k1.native import ctx, ffi, lib, require
from coordinator_core.secp256k1.points import scalar_to_bytes


class PairRange(NamedTuple):
    """Some pairs of points."""

    points: PointPairs
    start: int
    end: int

    def size(self) -> int:
        """How many there are."""
        return self.end - self.start


class _Infinity(Exception):
    """A sum of points is infinity, which no pair can hold."""


def multiply(ranges: Sequence[PairRange], coefficients: Coefficients) -> Any | None:
    """The sum over j of a_j times the first point of pair j and z * a_j times the second, or None for infinity.

    Pairs are counted through all ranges.
    """
    # Kept here, as pairs are valid while the memory of their points is.
    negated = [points.negated(start, end) for points, start, end in ranges]
    pairs = [pair for points, start, end in ranges for pair in map(points.pair, range(start, end))]
    negations = [pair for points in negated for pair in map(points.pair, range(points.count))]
    signed = [*chain.from_iterable(zip(negations, pairs, strict=True))]
    try:
        total = _sum_of_products(signed, [], coefficients)
    except _Infinity:
        return _blinded(signed, coefficients)
    first, second = total.points
    return linear_combination(0, [(first, 1), (second, coefficients.z)])


def _blinded(signed: Sequence[Any], coefficients: Coefficients) -> Any | None:
    """As multiply(), whatever the points are.

    Whoever chose the points can make them cancel out in a bucket. So a random multiple of the generator, fresh for each
    call, is put into every bucket and taken off the result.
    """
    blind = int.from_bytes(os.urandom(32), "big")
    blinding = ffi.new("secp256k1_pubkey *")
    require(lib.secp256k1_ec_pubkey_create(ctx, blinding, scalar_to_bytes(blind)), "blinding failed")
    blinding_pair = PointPairs.of([blinding, blinding])
    total = _sum_of_products(signed, [blinding_pair.pair(0)], coefficients)
    first, second = total.points
    excess = blind * coefficients.bucket_weight * (1 + coefficients.z)
    return linear_combination(-excess, [(first, 1), (second, coefficients.z)])


def _sum_of_products(signed: Sequence[Any], blinding: Sequence[Any], coefficients: Coefficients) -> PointPairs:
    """The sum of a_j times pair j, from the most significant window on, with the blinding in every bucket.

    `signed` has for each pair its negation, then itself. Raises _Infinity for a sum that cannot be added any further.
    """
    half = coefficients.half
    # Filled, so that a place which nothing is ever written to is not taken for infinity.
    memory = PointPairs.of([EVEN_POINT] * (2 * (half + 2)))
    total: list[Any] = []
    for buckets in _buckets(signed, blinding, coefficients):
        filled = [size for size, bucket in enumerate(buckets, 1) if bucket]
        sums = [memory.write_sum(1 + size, buckets[size - 1]) for size in filled]
        if memory.has_infinity(2, half + 2):
            raise _Infinity
        for bit in reversed(range(coefficients.bits)):
            terms = [each for size, each in zip(filled, sums, strict=True) if size >> bit & 1]
            # A doubling and all additions in one call; the output alternates because the total is read meanwhile.
            terms = [*total, *total, *terms]
            total = [memory.write_sum(bit % 2, terms)] if terms else []
            if memory.has_infinity(bit % 2, bit % 2 + 1):
                raise _Infinity
    return PointPairs.of(memory.points[:2])


def _buckets(signed: Sequence[Any], blinding: Sequence[Any], coefficients: Coefficients) -> Iterator[list[list[Any]]]:
    """In each window, for each size of a digit from 1 to half: the pairs that have it, negated if it is negative."""
    half = coefficients.half
    negative = bytes(digit < half for digit in range(256))
    positive = bytes(digit >= half for digit in range(256))
    chosen = bytearray(2 * coefficients.pairs)
    for digits in coefficients.digits():
        buckets: list[list[Any]] = [[*blinding] for _ in range(half + 1)]
        by_digit = [*reversed(buckets), *buckets[1:half]]
        chosen[::2] = digits.translate(negative)
        chosen[1::2] = digits.translate(positive)
        # A loop that runs in C, as it is taken once for each pair and window.
        deque(map(list[Any].append, map(by_digit.__getitem__, digits), compress(signed, chosen)), maxlen=0)
        yield buckets[1:]
