"""Consensus serialization of transactions (BIP144), strict: what Core would not decode is refused.

Transaction ids and hashes are in internal byte order here; the reversed hex of the outside is `display_hex`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final, NamedTuple

from coordinator_core.errors import InvalidInput

FINAL_SEQUENCE: Final = 0xFFFFFFFF
WITNESS_SCALE: Final = 4
NULL_INDEX: Final = 0xFFFFFFFF
MAX_COMPACT_SIZE: Final = 0x02000000
"""Core's bound on any length in a message; refusing above it keeps hostile lengths from allocating memory."""


def hash256(data: bytes) -> bytes:
    """SHA256 twice, 32 bytes."""
    return sha256(sha256(data).digest()).digest()


def display_hex(internal: bytes) -> str:
    """The hex that people and APIs use for a txid or block hash: bytes reversed."""
    return internal[::-1].hex()


def compact_size(value: int) -> bytes:
    """Bitcoin's variable length integer."""
    if value < 0xFD:
        return bytes([value])
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    if value <= 0xFFFFFFFF:
        return b"\xfe" + value.to_bytes(4, "little")
    return b"\xff" + value.to_bytes(8, "little")


def with_length(data: bytes) -> bytes:
    """`data` behind its compact size."""
    return compact_size(len(data)) + data


class Reader:
    """Reads a byte string from front to back. Raises InvalidInput at its end or on a non-canonical length."""

    __slots__ = ("_data", "_field", "position")

    def __init__(self, data: bytes, field: str) -> None:
        self._data = data
        self._field = field
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.position + count
        if end > len(self._data):
            raise InvalidInput(self._field, "ends too early", "give the whole serialization")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def integer(self, size: int) -> int:
        """The next `size` bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def compact_size(self) -> int:
        """A compact size in its shortest form, at most 2^25."""
        first = self.integer(1)
        if first < 0xFD:
            return first
        size, least = {0xFD: (2, 0xFD), 0xFE: (4, 1 << 16), 0xFF: (8, 1 << 32)}[first]
        value = self.integer(size)
        if value < least or value > MAX_COMPACT_SIZE:
            raise InvalidInput(self._field, "a length is not canonical", "use the shortest compact size")
        return value

    def sized(self) -> bytes:
        """Bytes behind their compact size."""
        return self.take(self.compact_size())

    def slice_from(self, start: int) -> bytes:
        """What was read since `start`."""
        return self._data[start : self.position]

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self.position != len(self._data):
            raise InvalidInput(self._field, "has bytes after its end", "give one serialization only")


class OutPoint(NamedTuple):
    """Output `vout` of transaction `txid` (internal order)."""

    txid: bytes
    vout: int

    def __str__(self) -> str:
        return f"{display_hex(self.txid)}:{self.vout}"

    def serialize(self) -> bytes:
        """36 bytes."""
        return self.txid + self.vout.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TxInput:
    """One input with its witness."""

    previous: OutPoint
    script_sig: bytes = b""
    sequence: int = FINAL_SEQUENCE
    witness: tuple[bytes, ...] = ()

    def serialize(self) -> bytes:
        """The input without its witness."""
        return self.previous.serialize() + with_length(self.script_sig) + self.sequence.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TxOutput:
    """One output: satoshi (signed on the wire) and locking script."""

    value: int
    script: bytes

    def serialize(self) -> bytes:
        """Value, script length, script."""
        return struct.pack("<q", self.value) + with_length(self.script)


@dataclass(frozen=True)
class Transaction:
    """A parsed transaction that keeps its own serialization. Sizes in bytes, weight in weight units."""

    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    lock_time: int
    raw: bytes = field(repr=False)
    stripped: bytes = field(repr=False)
    """Serialization without witnesses, which the txid commits to."""

    @cached_property
    def txid(self) -> bytes:
        """Hash without witnesses, internal order."""
        return hash256(self.stripped)

    @cached_property
    def wtxid(self) -> bytes:
        """Hash with witnesses, internal order."""
        return hash256(self.raw)

    @cached_property
    def id(self) -> str:
        """The txid as people write it."""
        return display_hex(self.txid)

    @property
    def weight(self) -> int:
        """Weight units (BIP141)."""
        return len(self.stripped) * (WITNESS_SCALE - 1) + len(self.raw)

    @property
    def vsize(self) -> int:
        """Virtual bytes, rounded up."""
        return -(-self.weight // WITNESS_SCALE)

    @property
    def is_coinbase(self) -> bool:
        """True for the first transaction of a block."""
        return len(self.inputs) == 1 and self.inputs[0].previous == OutPoint(bytes(32), NULL_INDEX)

    @property
    def value_out(self) -> int:
        """Sum of the outputs in satoshi."""
        return sum(output.value for output in self.outputs)

    @classmethod
    def parse(cls, raw: bytes, field: str = "transaction") -> Transaction:
        """Decode exactly one transaction. Raises InvalidInput."""
        reader = Reader(raw, field)
        transaction = cls.read(reader, field)
        reader.finish()
        return transaction

    @classmethod
    def read(cls, reader: Reader, field: str = "transaction") -> Transaction:
        """Decode the next transaction of a longer serialization. Raises InvalidInput."""
        start = reader.position
        version = reader.integer(4)
        body_start = reader.position
        input_count = reader.compact_size()
        segwit = input_count == 0
        if segwit:
            if reader.integer(1) != 1:
                raise InvalidInput(field, "has no inputs", "a transaction spends at least one output")
            body_start = reader.position
            input_count = reader.compact_size()
        bare = [_read_input(reader) for _ in range(input_count)]
        outputs = tuple(_read_output(reader) for _ in range(reader.compact_size()))
        body = reader.slice_from(body_start)
        inputs = _read_witnesses(reader, bare, field) if segwit else tuple(bare)
        lock_time = reader.integer(4)
        stripped = version.to_bytes(4, "little") + body + lock_time.to_bytes(4, "little")
        return cls(version, inputs, outputs, lock_time, reader.slice_from(start), stripped)

    @classmethod
    def build(
        cls, inputs: Iterable[TxInput], outputs: Iterable[TxOutput], *, version: int = 2, lock_time: int = 0
    ) -> Transaction:
        """Serialize a transaction from its parts."""
        ins, outs = tuple(inputs), tuple(outputs)
        head, tail = version.to_bytes(4, "little"), lock_time.to_bytes(4, "little")
        body = compact_size(len(ins)) + b"".join(i.serialize() for i in ins)
        body += compact_size(len(outs)) + b"".join(o.serialize() for o in outs)
        stripped = head + body + tail
        raw = stripped
        if any(i.witness for i in ins):
            witnesses = b"".join(compact_size(len(i.witness)) + b"".join(map(with_length, i.witness)) for i in ins)
            raw = head + b"\x00\x01" + body + witnesses + tail
        return cls(version, ins, outs, lock_time, raw, stripped)


def _read_input(reader: Reader) -> TxInput:
    previous = OutPoint(reader.take(32), reader.integer(4))
    return TxInput(previous, reader.sized(), reader.integer(4))


def _read_output(reader: Reader) -> TxOutput:
    (value,) = struct.unpack("<q", reader.take(8))
    return TxOutput(value, reader.sized())


def _read_witnesses(reader: Reader, bare: list[TxInput], field: str) -> tuple[TxInput, ...]:
    inputs = tuple(
        TxInput(i.previous, i.script_sig, i.sequence, tuple(reader.sized() for _ in range(reader.compact_size())))
        for i in bare
    )
    if not any(i.witness for i in inputs):
        raise InvalidInput(field, "has a superfluous witness flag", "drop the flag when no input has a witness")
    return inputs
