"""From signatures to rows of a table: parse R, add T, hash the challenge; two rows at a time where both are alike."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from coordinator_core.musig2.equations import ORDER, EquationTable, NoncePoint, challenge
from coordinator_core.musig2.layout import POINT_BYTES
from coordinator_core.musig2.pairs import EncodedSum, PointPairs
from coordinator_core.secp256k1.native import ffi


def read_signatures(table: EquationTable, signatures: Sequence[bytes], start: int, end: int) -> int | None:
    """Fill the rows from `start`, an even number, to `end`. Gives the index of the first malformed one, if any."""
    # Column by column, so that most of the work is done by loops that run in C.
    sound = _split(table, signatures, start, end)
    sound = _parse(table, start, sound)
    sound = _hash(table, start, sound)
    return sound if sound < end else None


def _split(table: EquationTable, signatures: Sequence[object], start: int, end: int) -> int:
    """Take signatures apart into nonce and scalar. Gives the index of the first of a wrong form, or `end`."""
    encoded, scalars = table.encoded, table.scalars
    for index, item, signature in zip(range(start, end), table.items[start:end], signatures[start:end], strict=True):
        size = 32 if item.adaptor_point is None else 33
        if not isinstance(signature, bytes) or len(signature) != size + 32:
            return index
        scalar = signature[size:]
        if scalar >= ORDER:
            return index
        encoded[index], scalars[index] = signature[:size], scalar
    return end


def _parse(table: EquationTable, start: int, end: int) -> int:
    """Fill the native points R. Gives the index of the first that is not on the curve, or `end`."""
    encodings = [part if len(part) == 33 else b"\x02" + part for part in table.encoded[start:end]]
    pairs = [*map(add, encodings[::2], encodings[1::2])]
    parsed = table.pairs.parse(start // 2, pairs)
    first = start + 2 * parsed
    # A last row without a partner, or the pair of which one row is not sound.
    for index in range(first, end if parsed == len(pairs) else first + 2):
        if not table.pairs.parse_point(index, encodings[index - start]):
            return index
    return end


def _hash(table: EquationTable, start: int, end: int) -> int:
    """Fill parity and challenge. Gives the index of the first row whose R' is infinity, or `end`."""
    challenges, adaptors = table.challenges, list[int]()
    for index, item, part in zip(range(start, end), table.items[start:end], table.encoded[start:end], strict=True):
        if item.adaptor_point is None:
            challenges[index] = challenge(part, item)
        else:
            adaptors.append(index)
    infinite = _adapt(table, adaptors)
    return end if infinite is None else infinite


def _adapt(table: EquationTable, rows: Sequence[int]) -> int | None:
    """Fill some rows of adaptor signatures, in ascending order. Gives the first whose R' is infinity, if any."""
    there = set(rows)
    alone, together = NoncePoint(table), _NoncePointPair(table)
    for index in rows:
        if index ^ 1 not in there:
            infinite = None if alone.adapt(index, table.items[index]) else index
        elif index % 2:
            continue
        else:
            infinite = together.adapt(index)
        if infinite is not None:
            return infinite
    return None


class _NoncePointPair:
    """Fills two rows of adaptor signatures at once. One a thread."""

    __slots__ = ("_adaptors", "_pair", "_sum", "_table")

    def __init__(self, table: EquationTable) -> None:
        self._table = table
        self._adaptors = PointPairs(2)
        self._pair = self._adaptors.pair(0)
        self._sum = EncodedSum()

    def adapt(self, index: int) -> int | None:
        """Rows `index`, an even number, and the next. Gives the first whose R' is infinity, if any."""
        table, (first, second) = self._table, self._adaptors.points
        one, two = table.items[index : index + 2]
        ffi.memmove(first, one.native_adaptor_point, POINT_BYTES)
        ffi.memmove(second, two.native_adaptor_point, POINT_BYTES)
        encoded = self._sum.add(table.pairs.pair(index // 2), self._pair)
        for row, item, adapted in ((index, one, encoded[:33]), (index + 1, two, encoded[33:])):
            # Infinity is encoded as zeros.
            if not adapted[0]:
                return row
            table.odd[row] = adapted[0] & 1
            table.challenges[row] = challenge(adapted[1:], item)
        return None
