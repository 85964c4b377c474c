"""Consensus encoding of what transactions consist of: compact sizes, little-endian integers, vectors."""

from __future__ import annotations

from coordinator_core.errors import InvalidInput

MAX_TRANSACTION_BYTES = 4_000_000
"""No block, hence no transaction, has more bytes than the weight limit of a block."""


def compact_size(value: int) -> bytes:
    """The compact size encoding of a length, 0 to 2^64-1."""
    if value < 0xFD:
        return value.to_bytes(1, "little")
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    if value <= 0xFFFFFFFF:
        return b"\xfe" + value.to_bytes(4, "little")
    return b"\xff" + value.to_bytes(8, "little")


def compact_size_length(value: int) -> int:
    """Bytes that `compact_size(value)` takes."""
    return 1 if value < 0xFD else 3 if value <= 0xFFFF else 5 if value <= 0xFFFFFFFF else 9


def length_prefixed(data: bytes) -> bytes:
    """`data` after its length as a compact size."""
    return compact_size(len(data)) + data


class Reader:
    """Reads consensus-encoded bytes of a hostile source; every method raises InvalidInput naming the field."""

    __slots__ = ("_data", "_field", "_offset")

    def __init__(self, data: bytes, field: str) -> None:
        if len(data) > MAX_TRANSACTION_BYTES:
            raise InvalidInput(field, f"{len(data)} bytes are too many", f"at most {MAX_TRANSACTION_BYTES}")
        self._data = data
        self._field = field
        self._offset = 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._offset + length
        if end > len(self._data):
            raise InvalidInput(self._field, "ends too early", "give the whole transaction")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def integer(self, length: int) -> int:
        """An unsigned little-endian integer of `length` bytes."""
        return int.from_bytes(self.take(length), "little")

    def compact(self) -> int:
        """A compact size in its shortest form, as Bitcoin Core requires."""
        first = self.integer(1)
        if first < 0xFD:
            return first
        value = self.integer({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])
        if compact_size_length(value) != {0xFD: 3, 0xFE: 5, 0xFF: 9}[first]:
            raise InvalidInput(self._field, "holds a compact size longer than needed", "use the shortest form")
        return value

    def count(self, least_bytes_each: int) -> int:
        """The number of elements of a vector, refused when that many could not follow."""
        number = self.compact()
        if number * least_bytes_each > len(self._data) - self._offset:
            raise InvalidInput(self._field, "ends too early", "give the whole transaction")
        return number

    def prefixed(self) -> bytes:
        """Bytes after their length."""
        return self.take(self.count(1))

    def peek(self, length: int) -> bytes:
        """The next bytes, at most `length`, without taking them."""
        return self._data[self._offset : self._offset + length]

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self._offset != len(self._data):
            left = len(self._data) - self._offset
            raise InvalidInput(self._field, f"{left} bytes follow the transaction", "give exactly one transaction")
