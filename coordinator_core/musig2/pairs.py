"""Points two and two: the library adds public nonces, each a pair of points, component by component.

Its nonce_agg() adds in variable time and normalizes both sums with one inversion, which makes it quicker than two calls
of combine(). Any two points can be written as a public nonce, and what comes out can be added again. Public points
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from coordinator_core.musig2.layout import EVEN_POINT, PAIR_BYTES, PAIR_MAGIC, POINT_BYTES
from coordinator_core.secp256k1.native import ctx, fail, ffi, lib

_POINTERS: Final = ffi.typeof("secp256k1_musig_pubnonce *[]")


class PointPairs:
    """Memory for points, in which points 2j and 2j + 1 are pair j. An odd number is padded with the generator.

    All pointers that it gives are valid while it is alive.
    """

    __slots__ = ("_pairs", "_sums", "count", "points")

    def __init__(self, points: int) -> None:
        self.count = (points + 1) // 2
        """Of pairs."""
        self._pairs: Any = ffi.new("secp256k1_musig_pubnonce[]", max(1, self.count))
        self._sums: Any = ffi.cast("secp256k1_musig_aggnonce *", self._pairs)
        with memoryview(ffi.buffer(self._pairs)) as writable:
            for place, byte in enumerate(PAIR_MAGIC):
                writable[place::PAIR_BYTES] = bytes((byte,)) * max(1, self.count)
        self.points: list[Any] = self._all_points()
        """Each point as a secp256k1_pubkey *, to be filled before its pair is used."""
        if points % 2:
            ffi.memmove(self.points.pop(), EVEN_POINT, POINT_BYTES)

    @classmethod
    def of(cls, points: Sequence[Any]) -> PointPairs:
        """Copies of native points."""
        pairs = cls(len(points))
        for copy, point in zip(pairs.points, points, strict=True):
            ffi.memmove(copy, point, POINT_BYTES)
        return pairs

    def negated(self, start: int, end: int) -> PointPairs:
        """The negations of the points of pairs from start to end."""
        result = PointPairs(2 * (end - start))
        ffi.memmove(result._pairs, self._pairs + start, PAIR_BYTES * result.count)
        for point in result.points:
            lib.secp256k1_ec_pubkey_negate(ctx, point)
        return result

    def pair(self, index: int) -> Any:
        """A pair as write_sum() takes it."""
        return self._pairs + index

    def write_sum(self, index: int, pairs: Sequence[Any]) -> Any:
        """Make pair `index` the sum of one or more other pairs, and give it.

        A point at infinity must not come out, as it cannot be added any further: callers make it improbable.
        """
        total = self._pairs + index
        if not lib.secp256k1_musig_nonce_agg(ctx, self._sums + index, ffi.new(_POINTERS, pairs), len(pairs)):
            fail("adding points failed")
        ffi.memmove(total, PAIR_MAGIC, 4)
        return total

    def _all_points(self) -> list[Any]:
        first = int(ffi.cast("uintptr_t", self._pairs)) + len(PAIR_MAGIC)
        end = first + PAIR_BYTES * self.count
        halves = zip(range(first, end, PAIR_BYTES), range(first + POINT_BYTES, end, PAIR_BYTES), strict=True)
        addresses = ffi.new("uintptr_t[]", [*chain.from_iterable(halves)])
        return ffi.unpack(ffi.cast("secp256k1_pubkey **", addresses), 2 * self.count)
