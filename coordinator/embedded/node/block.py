"""Blocks: header, merkle tree, coinbase as Core's own miner writes it, and regtest proof of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final

from coordinator.embedded.node.codec import (
    NULL_INDEX,
    OutPoint,
    Reader,
    Transaction,
    TxInput,
    TxOutput,
    compact_size,
    hash256,
)
from coordinator.embedded.node.script import push_number
from coordinator_core.errors import InvalidInput

HEADER_SIZE: Final = 80
BLOCK_VERSION: Final = 0x20000000
TESTDUMMY_BIT: Final = 1 << 28
TESTDUMMY_SIGNALLED: Final = range(144, 432)
"""Heights at which Core's miner on regtest signals for the test deployment of BIP9: started and locked in."""
REGTEST_BITS: Final = 0x207FFFFF
REGTEST_TARGET: Final = 0x7FFFFF << (8 * (0x20 - 3))
HALVING_INTERVAL: Final = 150
INITIAL_SUBSIDY: Final = 50 * 100_000_000
COINBASE_SEQUENCE: Final = 0xFFFFFFFE
WITNESS_COMMITMENT_HEADER: Final = bytes.fromhex("6a24aa21a9ed")
GENESIS: Final = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
    "67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f200200000001010000000100000000000000000000"
    "00000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f"
    "4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f75742066"
    "6f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a6"
    "7962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
"""The first block of regtest."""


@dataclass(frozen=True, slots=True)
class Header:
    """The 80 bytes that a block hash commits to. Hashes in internal order, time in seconds since 1970."""

    version: int
    previous: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int

    @classmethod
    def read(cls, reader: Reader) -> Header:
        """Decode the next 80 bytes. Raises InvalidInput."""
        return cls(
            reader.integer(4), reader.take(32), reader.take(32), reader.integer(4), reader.integer(4), reader.integer(4)
        )


@dataclass(frozen=True)
class Block:
    """A parsed block that keeps its own serialization."""

    header: Header
    transactions: tuple[Transaction, ...]
    raw: bytes = field(repr=False)

    @cached_property
    def hash(self) -> bytes:
        """Block hash, internal order."""
        return hash256(self.raw[:HEADER_SIZE])

    @property
    def stripped_size(self) -> int:
        """Bytes without witnesses."""
        head = HEADER_SIZE + len(compact_size(len(self.transactions)))
        return head + sum(len(t.stripped) for t in self.transactions)

    @property
    def weight(self) -> int:
        """Weight units (BIP141)."""
        return self.stripped_size * 3 + len(self.raw)

    @classmethod
    def parse(cls, raw: bytes, field: str = "block") -> Block:
        """Decode exactly one block with at least one transaction. Raises InvalidInput."""
        reader = Reader(raw, field)
        header = Header.read(reader)
        count = reader.compact_size()
        if count == 0:
            raise InvalidInput(field, "has no transactions", "a block has a coinbase")
        transactions = tuple(Transaction.read(reader, field) for _ in range(count))
        reader.finish()
        return cls(header, transactions, raw)


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """Root over 32-byte hashes; an odd one is paired with itself."""
    level = list(hashes)
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        level = [hash256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def merkle_path(hashes: Sequence[bytes], position: int) -> list[bytes]:
    """The siblings that lead from the hash at `position` to the root."""
    level, path = list(hashes), []
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        path.append(level[position ^ 1])
        level = [hash256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        position //= 2
    return path


def subsidy(height: int) -> int:
    """New satoshi a regtest block may create."""
    halvings = height // HALVING_INTERVAL
    return 0 if halvings >= 64 else INITIAL_SUBSIDY >> halvings


def coinbase(height: int, value: int, script: bytes, witness_root: bytes, extra_nonce: int = 0) -> Transaction:
    """The coinbase Core's miner makes on regtest: height and extra nonce, payout, witness commitment (BIP141).

    Byte for byte, so that a chain mined here at given times is the chain bitcoind would have mined.
    """
    reserved = bytes(32)
    commitment = WITNESS_COMMITMENT_HEADER + hash256(witness_root + reserved)
    spend = TxInput(
        OutPoint(bytes(32), NULL_INDEX),
        push_number(height) + push_number(extra_nonce),
        COINBASE_SEQUENCE,
        (reserved,),
    )
    return Transaction.build([spend], [TxOutput(value, script), TxOutput(0, commitment)], lock_time=height - 1)


def assemble(
    previous: bytes,
    height: int,
    time: int,
    script: bytes,
    transactions: Sequence[Transaction],
    *,
    coinbase_value: int,
    extra_nonce: int = 0,
) -> Block:
    """A block with valid proof of work. `coinbase_value` is subsidy and fees in satoshi."""
    witness_root = merkle_root([bytes(32), *(t.wtxid for t in transactions)])
    first = coinbase(height, coinbase_value, script, witness_root, extra_nonce)
    root = merkle_root([first.txid, *(t.txid for t in transactions)])
    version = BLOCK_VERSION | (TESTDUMMY_BIT if height in TESTDUMMY_SIGNALLED else 0)
    prefix = version.to_bytes(4, "little") + previous + root + time.to_bytes(4, "little")
    header = _solve(prefix + REGTEST_BITS.to_bytes(4, "little"))
    everything = (first, *transactions)
    raw = header + compact_size(len(everything)) + b"".join(t.raw for t in everything)
    return Block(Header.read(Reader(header, "header")), everything, raw)


def _solve(unsolved: bytes) -> bytes:
    """The header with the first nonce that meets the regtest target: two tries on average."""
    midstate, tail = sha256(unsolved[:64]), unsolved[64:]
    for nonce in range(1 << 32):
        encoded = nonce.to_bytes(4, "little")
        state = midstate.copy()
        state.update(tail + encoded)
        if int.from_bytes(sha256(state.digest()).digest(), "little") <= REGTEST_TARGET:
            return unsolved + encoded
    raise InvalidInput("header", "no nonce meets the target", "change the time or the extra nonce")
