"""A serialized block, read and checked before anything in it is believed: hash, proof of work, transactions, witnesses.

What is checked binds every byte that is read to the block's hash: a truncated, swapped or altered answer cannot pass.
Whether the block keeps the rules of consensus is the node's business.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Final

from msgspec import Struct

from coordinator.ports.bitcoin import Block, BlockTransaction, Network, Outpoint
from coordinator.ports.faults import Garbled
from coordinator_core.errors import CoreError, Fault, InvalidInput, VerificationFailed
from coordinator_core.units import Height, UnixTime

MAX_BLOCK_BYTES: Final = 4_000_000
HEADER_BYTES: Final = 80
LARGE_BYTES: Final = 100_000
LEAST_TRANSACTION_BYTES: Final = 60
POW_LIMITS: Final = {
    Network.MAINNET: 0x1D00FFFF,
    Network.TESTNET4: 0x1D00FFFF,
    Network.SIGNET: 0x1E0377AE,
    Network.REGTEST: 0x207FFFFF,
}
"""The easiest target of each network, as `nBits` writes it."""
_COINBASE: Final = bytes(32) + b"\xff\xff\xff\xff"
_COMMITMENT: Final = b"\x6a\x24\xaa\x21\xa9\xed"
"""How the output that commits to the witnesses begins (BIP141)."""
_COMMITMENT_BYTES: Final = 38
_LONGER: Final = {0xFD: 2, 0xFE: 4, 0xFF: 8}
"""Bytes of a compact size behind its first one."""


class ReadBlock(Struct, frozen=True):
    """What a serialized block says. `previous_hash` of the first block is empty."""

    previous_hash: str
    time: UnixTime
    transactions: tuple[BlockTransaction, ...]


def read_block(raw: bytes, block_hash: str, network: Network) -> ReadBlock:
    """Read a block of a network that must have this hash. Raises InvalidInput for bytes that are no block,
    VerificationFailed when hash, proof of work, merkle root or witness commitment do not fit.
    """
    header = raw[:HEADER_BYTES]
    _check_header(header, block_hash, POW_LIMITS[network])
    if len(raw) > MAX_BLOCK_BYTES:
        raise _not_a_block(f"{len(raw)} bytes are too many")
    try:
        found = _Transactions(raw)
    except IndexError:
        raise _not_a_block("ends too early") from None
    if merkle_root(found.txids) != header[36:68]:
        raise _differs("the transactions are not those of the header")
    found.check_witnesses()
    previous = header[4:36][::-1].hex()
    time = UnixTime(int.from_bytes(header[68:72], "little"))
    return ReadBlock(previous if previous.strip("0") else "", time, tuple(found.seen))


class Served(Struct, frozen=True):
    """What a service says a block is: bytes or hex under a hash, and what is not in the block itself."""

    service: str
    raw: bytes | str
    block_hash: str
    height: Height
    median_time_past: UnixTime


async def checked_block(served: Served, network: Network) -> Block:
    """The block that a service serves. Raises Garbled for anything else than the block of its hash."""
    if len(served.raw) < LARGE_BYTES:
        return _checked(served, network)
    # Tens of milliseconds of work: the event loop goes on meanwhile.
    return await asyncio.to_thread(_checked, served, network)


def _checked(served: Served, network: Network) -> Block:
    try:
        raw = bytes.fromhex(served.raw) if isinstance(served.raw, str) else served.raw
        found = read_block(raw, served.block_hash, network)
        if served.median_time_past > found.time:
            raise _differs("the median time past is later than the block")
    except (CoreError, ValueError) as error:
        raise Garbled(served.service, str(error), fault=Fault.NODE) from error
    return Block(
        height=served.height,
        block_hash=served.block_hash,
        previous_hash=found.previous_hash,
        time=found.time,
        median_time_past=served.median_time_past,
        transactions=found.transactions,
        size=len(raw),
    )


def merkle_root(hashes: list[bytes]) -> bytes:
    """Merkle root of hashes in internal order; the last one of an odd row counts twice. Raises VerificationFailed for
    two equal neighbours: then another list, with those left out, has the same root.
    """
    row = hashes
    while len(row) > 1:
        pairs = list(zip(row[::2], row[1::2], strict=False))
        if any(left == right for left, right in pairs):
            raise _differs("a transaction is there twice")
        if len(row) % 2:
            pairs.append((row[-1], row[-1]))
        row = [_double(left + right) for left, right in pairs]
    return row[0] if row else bytes(32)


def target_of(bits: int) -> int:
    """The number that `nBits` stands for; 0 for one that no block can have."""
    exponent, mantissa = bits >> 24, bits & 0x007FFFFF
    if bits & 0x00800000 or exponent > 32:
        return 0
    return mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)


def _check_header(header: bytes, block_hash: str, limit: int) -> None:
    if len(header) < HEADER_BYTES:
        raise _not_a_block("ends too early")
    found = _double(header)
    if found[::-1].hex() != block_hash:
        raise _differs("the header is of another block")
    target = target_of(int.from_bytes(header[72:76], "little"))
    if target > target_of(limit) or int.from_bytes(found, "little") > target:
        raise _differs("the header shows too little work")


class _Transactions:
    """One pass over the transactions of a block. Raises IndexError where the bytes end.

    Not with transaction.wire.Reader: a full block has a hundred thousand fields, and catching up reads hundreds of
    blocks a second.
    """

    __slots__ = ("_at", "_raw", "_wtxids", "coinbase", "reserved", "seen", "txids")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = HEADER_BYTES
        self.txids: list[bytes] = []
        self._wtxids: list[bytes] = []
        self.seen: list[BlockTransaction] = []
        self.coinbase: list[bytes] = []
        """Scripts of the first transaction's outputs, each with its length."""
        self.reserved: list[bytes] = []
        """Witness of the first transaction's first input, each element with its length."""
        count = self._count(LEAST_TRANSACTION_BYTES)
        for _ in range(count):
            self._transaction()
        if not self.seen:
            raise _not_a_block("holds no transaction")
        if self._at != len(raw):
            raise _not_a_block(f"{len(raw) - self._at} bytes follow")

    def check_witnesses(self) -> None:
        """The witnesses are those that the coinbase commits to; without a commitment there are none (BIP141)."""
        scripts = [script[1:] for script in self.coinbase]
        committed = [s for s in scripts if s.startswith(_COMMITMENT) and len(s) >= _COMMITMENT_BYTES]
        if not committed:
            if self._wtxids != self.txids:
                raise _differs("witnesses that nothing commits to")
            return
        root, reserved = merkle_root([bytes(32), *self._wtxids[1:]]), b"".join(self.reserved)
        if _double(root + reserved[1:]) != committed[-1][len(_COMMITMENT) : _COMMITMENT_BYTES]:
            raise _differs("the witnesses are not those of the block")

    def _transaction(self) -> None:
        raw, began = self._raw, self._at
        segwit = raw[began + 4] == 0 and raw[began + 5] == 1
        self._at = body = began + (6 if segwit else 4)
        spends = self._inputs()
        scripts = self._outputs(wanted=not self.txids)
        witness = self._at
        if segwit:
            self._witnesses(len(spends), wanted=not self.txids)
        self._at += 4
        if self._at > len(raw):
            raise IndexError
        whole = raw[began : self._at]
        wtxid = _double(whole)
        stripped = raw[began : began + 4] + raw[body:witness] + raw[self._at - 4 : self._at]
        txid = _double(stripped) if segwit else wtxid
        if not self.txids:
            if spends != [_COINBASE]:
                # Rows of the merkle tree, read as transactions of 64 bytes, have the same root (CVE-2017-12842).
                raise _not_a_block("does not begin with a coinbase")
            self.coinbase = scripts
        self.txids.append(txid)
        self._wtxids.append(wtxid)
        spent = tuple(_outpoint(s) for s in spends if s != _COINBASE)
        self.seen.append(BlockTransaction(txid[::-1].hex(), spent))

    def _inputs(self) -> list[bytes]:
        spends: list[bytes] = []
        count, raw = self._count(41), self._raw
        at = self._at
        for _ in range(count):
            spends.append(raw[at : at + 36])
            at = self._over(at + 36) + 4
        self._at = at
        return spends

    def _outputs(self, *, wanted: bool) -> list[bytes]:
        scripts: list[bytes] = []
        count, raw = self._count(9), self._raw
        at = self._at
        for _ in range(count):
            began, at = at + 8, self._over(at + 8)
            if wanted:
                scripts.append(raw[began:at])
        self._at = at
        return scripts

    def _witnesses(self, inputs: int, *, wanted: bool) -> None:
        for number in range(inputs):
            count = self._count(1)
            at = self._at
            for _ in range(count):
                began, at = at, self._over(at)
                if wanted and not number:
                    self.reserved.append(self._raw[began:at])
            self._at = at

    def _over(self, at: int) -> int:
        """Behind the bytes that follow their length at `at`."""
        first = self._raw[at]
        if first < 0xFD:
            return at + 1 + first
        length = _LONGER[first]
        return at + 1 + length + int.from_bytes(self._raw[at + 1 : at + 1 + length], "little")

    def _count(self, least_bytes_each: int) -> int:
        """The length of a list whose elements could still follow."""
        raw, at = self._raw, self._at
        number = raw[at]
        self._at = at + 1
        if number >= 0xFD:
            self._at += _LONGER[number]
            number = int.from_bytes(raw[at + 1 : self._at], "little")
        if number * least_bytes_each > len(raw) - self._at:
            raise IndexError
        return number


def _outpoint(spent: bytes) -> Outpoint:
    return Outpoint(spent[31::-1].hex(), int.from_bytes(spent[32:], "little"))


def _double(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def _not_a_block(reason: str) -> InvalidInput:
    return InvalidInput("block", reason, "give the whole block", fault=Fault.NODE)


def _differs(reason: str) -> VerificationFailed:
    return VerificationFailed("block", reason, fault=Fault.NODE)
