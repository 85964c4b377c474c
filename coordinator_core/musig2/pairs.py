"""Points two and two: the library adds public nonces, each a pair of points, component by component.

Its nonce_agg() adds in variable time and normalizes both sums with one inversion, which makes it quicker than two calls
of combine(). Any two points can be written as a public nonce, and what comes out can be added again. Public points
only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, Final

from coordinator_core.musig2.layout import EVEN_POINT, PAIR_BYTES, PAIR_MAGIC, POINT_BYTES
from coordinator_core.secp256k1.native import ctx, fail, ffi, lib

_INFINITY: Final = bytes(POINT_BYTES)
_POINTERS: Final = ffi.typeof("secp256k1_musig_pubnonce *[]")


class PointPairs:
    """Memory for points, in which points 2j and 2j + 1 are pair j. An odd number is padded with the generator.

    All pointers that it gives are valid while it is alive.
    """

    __slots__ = ("_all", "_pairs", "_size", "_sums", "count")

    def __init__(self, points: int) -> None:
        self.count = (points + 1) // 2
        """Of pairs."""
        self._pairs: Any = ffi.new("secp256k1_musig_pubnonce[]", max(1, self.count))
        self._sums: Any = ffi.cast("secp256k1_musig_aggnonce *", self._pairs)
        with memoryview(ffi.buffer(self._pairs)) as writable:
            for place, byte in enumerate(PAIR_MAGIC):
                writable[place::PAIR_BYTES] = bytes((byte,)) * max(1, self.count)
        self._size = points
        self._all: list[Any] | None = None
        if points % 2:
            ffi.memmove(self.point(points), EVEN_POINT, POINT_BYTES)

    @property
    def points(self) -> list[Any]:
        """Each point as a secp256k1_pubkey *, to be filled before its pair is used."""
        if self._all is None:
            # Two threads may both come here: what they make is the same.
            self._all = self._pointers()
        return self._all

    def point(self, index: int) -> Any:
        """One of them, where not all are wanted."""
        return ffi.cast("secp256k1_pubkey *", self._address(index))

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
        negate: Callable[[Any, Any], int] = lib.secp256k1_ec_pubkey_negate
        # A loop that runs in C.
        deque(map(negate, repeat(ctx), result.points), maxlen=0)
        return result

    def parse(self, start: int, encodings: Sequence[bytes]) -> int:
        """Fill pairs from `start` on from 66 bytes each. Gives the number of sound ones before the first that is not,
        whose points are not written.
        """
        pairs = map(self.pair, range(start, start + len(encodings)))
        parsed: list[int] = [*map(lib.secp256k1_musig_pubnonce_parse, repeat(ctx), pairs, encodings), 0]
        return parsed.index(0)

    def parse_point(self, index: int, encoding: bytes) -> bool:
        """Fill point `index` from 33 bytes. False if they are no point of the curve."""
        return bool(lib.secp256k1_ec_pubkey_parse(ctx, self.point(index), encoding, len(encoding)))

    def pair(self, index: int) -> Any:
        """A pair as write_sum() takes it."""
        return self._pairs + index

    def write_sum(self, index: int, pairs: Sequence[Any]) -> Any:
        """Make pair `index` the sum of one or more other pairs, and give it.

        A point at infinity cannot be added any further: see has_infinity().
        """
        total = self._pairs + index
        if not lib.secp256k1_musig_nonce_agg(ctx, self._sums + index, ffi.new(_POINTERS, pairs), len(pairs)):
            fail("adding points failed")
        ffi.memmove(total, PAIR_MAGIC, 4)
        return total

    def has_infinity(self, start: int, end: int) -> bool:
        """Whether a sum was written into pairs from start to end of which a half is infinity: zeros, in the library."""
        return _INFINITY in ffi.buffer(self._pairs + start, PAIR_BYTES * (end - start))[:]

    def _address(self, index: int) -> int:
        pair, half = divmod(index, 2)
        first = int(ffi.cast("uintptr_t", self._pairs))
        return first + PAIR_BYTES * pair + len(PAIR_MAGIC) + POINT_BYTES * half

    def _pointers(self) -> list[Any]:
        end = self._address(2 * self.count)
        halves = (range(self._address(half), end, PAIR_BYTES) for half in (0, 1))
        addresses = ffi.new("uintptr_t[]", [*chain.from_iterable(zip(*halves, strict=True))])
        return ffi.unpack(ffi.cast("secp256k1_pubkey **", addresses), self._size)


class EncodedSum:
    """Adds two pairs and encodes what comes out. Not for two threads at a time."""

    __slots__ = ("_encoded", "_sum", "_terms", "_view")

    def __init__(self) -> None:
        self._terms: Any = ffi.new("secp256k1_musig_pubnonce *[2]")
        self._sum: Any = ffi.new("secp256k1_musig_aggnonce *")
        self._encoded: Any = ffi.new("unsigned char[66]")
        self._view: Any = ffi.buffer(self._encoded)

    def add(self, first: Any, second: Any) -> bytes:
        """The sums of both first and of both second points, 33 bytes each; zeros for infinity."""
        self._terms[0], self._terms[1] = first, second
        if not lib.secp256k1_musig_nonce_agg(ctx, self._sum, self._terms, 2):
            fail("adding points failed")
        lib.secp256k1_musig_aggnonce_serialize(ctx, self._encoded, self._sum)
        return self._view[:]
