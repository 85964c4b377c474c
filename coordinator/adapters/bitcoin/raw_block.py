"""A serialized block, read and checked against its hash: what an explorer serves is not taken on its word."""

from __future__ import annotations

from coordinator.ports.bitcoin import BlockTransaction, Outpoint
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.transaction.model import SEGWIT_MARKER, sha256d
from coordinator_core.transaction.wire import Reader
from coordinator_core.units import Sats

_HEADER_BYTES = 80
_COINBASE = OutPoint(bytes(32), 0xFFFFFFFF)


def read_block(raw: bytes, block_hash: str) -> tuple[str, tuple[BlockTransaction, ...]]:
    """Previous hash and transactions. Raises InvalidInput, VerificationFailed when header or merkle root differ."""
    reader = Reader(raw, "block")
    header = reader.take(_HEADER_BYTES)
    if sha256d(header)[::-1].hex() != block_hash:
        raise VerificationFailed("block", "the header is of another block", fault=Fault.NODE)
    transactions = [_read_transaction(reader) for _ in range(reader.count(60))]
    reader.finish()
    txids = [transaction.txid for transaction in transactions]
    if merkle_root(txids) != header[36:68]:
        raise VerificationFailed("block", "the transactions are not those of the header", fault=Fault.NODE)
    return header[4:36][::-1].hex(), tuple(map(_seen, transactions, txids))


def merkle_root(txids: list[bytes]) -> bytes:
    """Merkle root of txids in internal order; the last one of an odd row counts twice."""
    row = txids
    while len(row) > 1:
        row = [*row, row[-1]] if len(row) % 2 else row
        row = [sha256d(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0] if row else bytes(32)


def _read_transaction(reader: Reader) -> Transaction:
    """One of many; its witness is passed over, the txid does not hold it."""
    version = reader.integer(4)
    segwit = reader.peek(2) == SEGWIT_MARKER
    if segwit:
        reader.take(2)
    inputs = tuple(_read_input(reader) for _ in range(reader.count(41)))
    outputs = tuple(TxOut(Sats(reader.integer(8)), reader.prefixed()) for _ in range(reader.count(9)))
    for _ in inputs if segwit else ():
        for _ in range(reader.count(1)):
            reader.prefixed()
    return Transaction(inputs, outputs, reader.integer(4), version)


def _read_input(reader: Reader) -> TxIn:
    previous = OutPoint(reader.take(32), reader.integer(4))
    script = reader.prefixed()
    return TxIn(previous, reader.integer(4), (), script)


def _seen(transaction: Transaction, txid: bytes) -> BlockTransaction:
    spent = [i.previous_output for i in transaction.inputs if i.previous_output != _COINBASE]
    return BlockTransaction(
        txid=txid[::-1].hex(),
        spends=tuple(Outpoint(outpoint.txid[::-1].hex(), outpoint.vout) for outpoint in spent),
        scripts=tuple(output.script_pubkey for output in transaction.outputs),
    )
