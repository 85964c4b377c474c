"""Serialized blocks of regtest, with the little work that they need there."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.adapters.bitcoin.raw_block import merkle_root, target_of
from coordinator_core.secp256k1 import sha256
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.transaction.wire import compact_size
from coordinator_core.units import Sats

BITS = 0x207FFFFF
RESERVED = bytes(32)
_COMMITMENT = b"\x6a\x24\xaa\x21\xa9\xed"


def double(data: bytes) -> bytes:
    return sha256(sha256(data))


def coinbase(height: int, *others: Transaction, committing: bool = True) -> Transaction:
    """The first transaction of a block that commits to the witnesses of the others."""
    outputs = [TxOut(Sats(50), b"\x51")]
    if committing:
        root = merkle_root([bytes(32), *(other.wtxid for other in others)])
        outputs.append(TxOut(Sats(0), _COMMITMENT + double(root + RESERVED)))
    script = b"\x04" + height.to_bytes(4, "little")
    spent = TxIn(OutPoint(bytes(32), 0xFFFFFFFF), 0xFFFFFFFF, (RESERVED,) if committing else (), script)
    return Transaction((spent,), tuple(outputs))


def mined(
    transactions: Sequence[Transaction],
    *,
    time: int = 1_700_000_000,
    previous: str = "00" * 32,
    bits: int = BITS,
    root: bytes | None = None,
) -> tuple[str, bytes]:
    """Hash and bytes of a block with the work that regtest asks for, whatever `bits` says."""
    merkle = merkle_root([t.txid for t in transactions]) if root is None else root
    start = (2).to_bytes(4, "little") + bytes.fromhex(previous)[::-1] + merkle
    start += time.to_bytes(4, "little") + bits.to_bytes(4, "little")
    raw = compact_size(len(transactions)) + b"".join(t.serialize() for t in transactions)
    for nonce in range(1 << 16):
        header = start + nonce.to_bytes(4, "little")
        if int.from_bytes(double(header), "little") <= target_of(BITS):
            return double(header)[::-1].hex(), header + raw
    raise AssertionError("no nonce")
