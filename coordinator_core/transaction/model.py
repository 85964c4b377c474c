"""Transactions as immutable values, with Bitcoin's consensus encoding (BIP144) read strictly.

Transaction ids are kept in internal byte order; the reversed hexadecimal form exists only in text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import sha256
from coordinator_core.transaction.wire import Reader, compact_size, length_prefixed
from coordinator_core.units import Sats, Weight, sats

SEGWIT_MARKER: Final = b"\x00\x01"
SEQUENCE_FINAL: Final = 0xFFFFFFFF
"""No lock time, no replacement."""
SEQUENCE_LOCK_TIME: Final = 0xFFFFFFFE
"""nLockTime counts, replacement is not signalled."""
SEQUENCE_REPLACEABLE: Final = 0xFFFFFFFD
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def sha256d(data: bytes) -> bytes:
    """SHA256 of SHA256, as in transaction ids."""
    return sha256(sha256(data))


def bytes_from_hex(text: object, length: int | None, field: str) -> bytes:
    """Bytes of a hexadecimal string of exactly `length` bytes (any length if None). Raises InvalidInput."""
    wanted = "hexadecimal digits" if length is None else f"{2 * length} hexadecimal digits"
    # bytes.fromhex alone would let white space pass.
    if not isinstance(text, str) or not _HEX_DIGITS.issuperset(text) or len(text) % 2:
        raise InvalidInput(field, "is not hexadecimal", f"a string of {wanted}")
    if length is not None and len(text) != 2 * length:
        raise InvalidInput(field, f"has {len(text)} digits", f"a string of {wanted}")
    return bytes.fromhex(text)


def txid_from_hex(text: object, field: str = "txid") -> bytes:
    """Internal byte order of a transaction id as explorers print it. Raises InvalidInput."""
    return bytes_from_hex(text, 32, field)[::-1]


@dataclass(frozen=True, slots=True)
class OutPoint:
    """Output number `vout` of the transaction `txid` (32 bytes, internal order)."""

    txid: bytes
    vout: int

    def __post_init__(self) -> None:
        if len(self.txid) != 32:
            raise InvalidInput("outpoint.txid", f"has {len(self.txid)} bytes", "32 bytes")
        if not 0 <= self.vout <= 0xFFFFFFFF:
            raise InvalidInput("outpoint.vout", f"{self.vout} is out of range", "0 to 4294967295")

    @classmethod
    def parse(cls, text: object, field: str = "outpoint") -> OutPoint:
        """Read `TXID:VOUT`: the reversed txid and a decimal number without leading zeros. Raises InvalidInput."""
        txid, colon, vout = text.partition(":") if isinstance(text, str) else ("", "", "")
        canonical = vout.isascii() and vout.isdigit() and len(vout) <= 10 and str(int(vout)) == vout
        if not colon or not canonical or int(vout) > 0xFFFFFFFF:
            raise InvalidInput(field, "is not an outpoint", "TXID:VOUT, 64 hexadecimal digits and a number")
        return cls(txid_from_hex(txid, field), int(vout))

    def serialize(self) -> bytes:
        """The 36 bytes in which an input names it."""
        return self.txid + self.vout.to_bytes(4, "little")

    def __str__(self) -> str:
        return f"{self.txid[::-1].hex()}:{self.vout}"


@dataclass(frozen=True, slots=True)
class TxOut:
    """An amount locked by a script."""

    value: Sats
    script_pubkey: bytes

    def serialize(self) -> bytes:
        """Its consensus encoding."""
        return self.value.to_bytes(8, "little") + length_prefixed(self.script_pubkey)


@dataclass(frozen=True, slots=True)
class TxIn:
    """An input; `witness` is empty until it is signed."""

    previous_output: OutPoint
    sequence: int
    witness: tuple[bytes, ...] = ()
    script_sig: bytes = b""

    def serialize(self) -> bytes:
        """Its consensus encoding without the witness."""
        return self.previous_output.serialize() + length_prefixed(self.script_sig) + self.sequence.to_bytes(4, "little")

    def serialize_witness(self) -> bytes:
        """Its witness stack as it follows the outputs."""
        return compact_size(len(self.witness)) + b"".join(map(length_prefixed, self.witness))


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction with at least one input."""

    inputs: tuple[TxIn, ...]
    outputs: tuple[TxOut, ...]
    lock_time: int = 0
    version: int = 2

    @classmethod
    def parse(cls, data: bytes, field: str = "transaction") -> Transaction:
        """Read exactly one transaction. Raises InvalidInput for anything Bitcoin Core's decoder refuses,
        for amounts out of range and for no inputs.
        """
        reader = Reader(data, field)
        version = reader.integer(4)
        segwit = reader.peek(2) == SEGWIT_MARKER
        if segwit:
            reader.take(2)
        inputs = tuple(_read_input(reader) for _ in range(reader.count(41)))
        if not inputs:
            raise InvalidInput(field, "has no inputs", "give a complete transaction")
        outputs = tuple(_read_output(reader, f"{field}.outputs[{i}]") for i in range(reader.count(9)))
        if segwit:
            inputs = tuple(replace(i, witness=_read_witness(reader)) for i in inputs)
            if not any(i.witness for i in inputs):
                raise InvalidInput(field, "marks a witness but has none", "leave out marker and flag")
        lock_time = reader.integer(4)
        reader.finish()
        return cls(inputs, outputs, lock_time, version)

    @classmethod
    def from_hex(cls, text: object, field: str = "transaction") -> Transaction:
        """`parse()` of a hexadecimal string."""
        return cls.parse(bytes_from_hex(text, None, field), field)

    @property
    def has_witness(self) -> bool:
        """Whether any input carries a witness."""
        return any(i.witness for i in self.inputs)

    def serialize(self, *, include_witness: bool = True) -> bytes:
        """Its consensus encoding, by default with the witness if it has one."""
        segwit = include_witness and self.has_witness
        body = _vector([i.serialize() for i in self.inputs]) + _vector([o.serialize() for o in self.outputs])
        witness = b"".join(i.serialize_witness() for i in self.inputs) if segwit else b""
        return (
            self.version.to_bytes(4, "little")
            + (SEGWIT_MARKER if segwit else b"")
            + body
            + witness
            + self.lock_time.to_bytes(4, "little")
        )

    @property
    def txid(self) -> bytes:
        """Transaction id, 32 bytes in internal order."""
        return sha256d(self.serialize(include_witness=False))

    @property
    def wtxid(self) -> bytes:
        """Witness transaction id (BIP141), 32 bytes in internal order."""
        return sha256d(self.serialize())

    @property
    def weight(self) -> Weight:
        """Weight units (BIP141)."""
        return Weight(3 * len(self.serialize(include_witness=False)) + len(self.serialize()))

    @property
    def vsize(self) -> int:
        """Virtual bytes, rounded up as Bitcoin Core does."""
        return -(-self.weight // 4)

    def outpoint(self, vout: int) -> OutPoint:
        """Outpoint of its output number `vout`. Raises InvalidInput when there is none."""
        if not 0 <= vout < len(self.outputs):
            raise InvalidInput("vout", f"the transaction has no output {vout}", f"0 to {len(self.outputs) - 1}")
        return OutPoint(self.txid, vout)

    def with_witness(self, index: int, witness: tuple[bytes, ...]) -> Transaction:
        """The same transaction with the witness of input `index` set."""
        inputs = tuple(replace(x, witness=witness) if i == index else x for i, x in enumerate(self.inputs))
        return replace(self, inputs=inputs)


def _vector(encoded: list[bytes]) -> bytes:
    return compact_size(len(encoded)) + b"".join(encoded)


def _read_input(reader: Reader) -> TxIn:
    previous = OutPoint(reader.take(32), reader.integer(4))
    script_sig = reader.prefixed()
    return TxIn(previous, reader.integer(4), (), script_sig)


def _read_output(reader: Reader, field: str) -> TxOut:
    value = sats(reader.integer(8), f"{field}.value")
    return TxOut(value, reader.prefixed())


def _read_witness(reader: Reader) -> tuple[bytes, ...]:
    return tuple(reader.prefixed() for _ in range(reader.count(1)))
