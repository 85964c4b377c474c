"""What the active chain holds: unspent outputs, transactions by id, who spent what, history by script.

In memory, built from the blocks of the journal on opening; connect and disconnect are exact inverses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from coordinator.embedded.node.block import Block
from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput
from coordinator.embedded.node.script import MAX_SCRIPT_SIZE, OP_RETURN


class Coin(NamedTuple):
    """An unspent output and where it was made."""

    output: TxOutput
    height: int
    coinbase: bool


class Located(NamedTuple):
    """A transaction and the block that holds it."""

    transaction: Transaction
    block_hash: bytes
    height: int
    position: int


class Spend(NamedTuple):
    """The input that spent an output."""

    txid: bytes
    vin: int


@dataclass(slots=True)
class _ScriptHistory:
    txids: list[bytes]
    unspent: dict[OutPoint, None]


def script_hash(script: bytes) -> bytes:
    """Esplora's key of a script: SHA256."""
    return sha256(script).digest()


def is_unspendable(script: bytes) -> bool:
    """True for outputs that Core keeps out of the set of unspent outputs."""
    return script[:1] == bytes([OP_RETURN]) or len(script) > MAX_SCRIPT_SIZE


class ChainIndex:
    """Lookups over the active chain."""

    def __init__(self) -> None:
        self.coins: dict[OutPoint, Coin] = {}
        self.transactions: dict[bytes, Located] = {}
        self.stale: dict[bytes, Located] = {}
        """Transactions last seen in a block that has left the active chain."""
        self.spends: dict[OutPoint, Spend] = {}
        self._scripts: dict[bytes, _ScriptHistory] = {}

    def connect(self, block: Block, height: int) -> None:
        """Take in the block that follows the tip."""
        for position, transaction in enumerate(block.transactions):
            touched = set(self._spend_inputs(transaction)) if position else set[bytes]()
            for vout, output in enumerate(transaction.outputs):
                key = script_hash(output.script)
                touched.add(key)
                # The outputs of the genesis block can never be spent.
                if height and not is_unspendable(output.script):
                    self._add_coin(OutPoint(transaction.txid, vout), Coin(output, height, position == 0), key)
            located = Located(transaction, block.hash, height, position)
            self.transactions[transaction.txid] = located
            self.stale.pop(transaction.txid, None)
            for key in touched:
                self._history(key).txids.append(transaction.txid)

    def disconnect(self, block: Block) -> None:
        """Undo the connection of the tip."""
        for position in range(len(block.transactions) - 1, -1, -1):
            transaction = block.transactions[position]
            touched = {script_hash(output.script) for output in transaction.outputs}
            for vout, output in enumerate(transaction.outputs):
                self._remove_coin(OutPoint(transaction.txid, vout), script_hash(output.script))
            if position:
                touched.update(self._restore_inputs(transaction))
            for key in touched:
                self._history(key).txids.remove(transaction.txid)
            self.stale[transaction.txid] = self.transactions.pop(transaction.txid)

    def remember_stale(self, block: Block, height: int) -> None:
        """Note the transactions of a block outside of the active chain."""
        for position, transaction in enumerate(block.transactions):
            if transaction.txid not in self.transactions:
                self.stale[transaction.txid] = Located(transaction, block.hash, height, position)

    def _spend_inputs(self, transaction: Transaction) -> Iterator[bytes]:
        for vin, spend in enumerate(transaction.inputs):
            key = script_hash(self.coins[spend.previous].output.script)
            self._remove_coin(spend.previous, key)
            self.spends[spend.previous] = Spend(transaction.txid, vin)
            yield key

    def _restore_inputs(self, transaction: Transaction) -> Iterator[bytes]:
        for spend in transaction.inputs:
            made = self.transactions[spend.previous.txid]
            output = made.transaction.outputs[spend.previous.vout]
            key = script_hash(output.script)
            self._add_coin(spend.previous, Coin(output, made.height, made.position == 0), key)
            del self.spends[spend.previous]
            yield key

    def _history(self, key: bytes) -> _ScriptHistory:
        return self._scripts.setdefault(key, _ScriptHistory([], {}))

    def _add_coin(self, outpoint: OutPoint, coin: Coin, key: bytes) -> None:
        self.coins[outpoint] = coin
        self._history(key).unspent[outpoint] = None

    def _remove_coin(self, outpoint: OutPoint, key: bytes) -> None:
        if self.coins.pop(outpoint, None) is not None:
            del self._history(key).unspent[outpoint]

    def output(self, outpoint: OutPoint) -> TxOutput | None:
        """An output of the active chain, spent or not."""
        located = self.transactions.get(outpoint.txid)
        if located is None or outpoint.vout >= len(located.transaction.outputs):
            return None
        return located.transaction.outputs[outpoint.vout]

    def history(self, key: bytes) -> list[bytes]:
        """Ids of the transactions that touch a script, oldest first."""
        found = self._scripts.get(key)
        return list(found.txids) if found else []

    def unspent(self, key: bytes) -> list[tuple[OutPoint, Coin]]:
        """The unspent outputs of a script, oldest first."""
        found = self._scripts.get(key)
        return [(outpoint, self.coins[outpoint]) for outpoint in found.unspent] if found else []
