"""Consensus rules that a mempool checks before the scripts: shape, finality, relative locks, maturity, amounts.

Core's CheckTransaction, IsFinalTx (BIP113), SequenceLocks (BIP68) and CheckTxInputs, with their reject reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from coordinator.embedded.node.codec import FINAL_SEQUENCE, NULL_INDEX, WITNESS_SCALE, OutPoint, Transaction
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.fees import MAX_MONEY_SAT, money
from coordinator.embedded.node.index import Coin

MAX_BLOCK_WEIGHT: Final = 4_000_000
COINBASE_MATURITY: Final = 100
LOCK_TIME_THRESHOLD: Final = 500_000_000
SEQUENCE_DISABLED: Final = 1 << 31
SEQUENCE_IS_TIME: Final = 1 << 22
SEQUENCE_MASK: Final = 0xFFFF
SEQUENCE_GRANULARITY: Final = 9


class ChainView(Protocol):
    """What these rules and the mempool need to know about the active chain."""

    @property
    def height(self) -> int:
        """Height of the tip."""
        ...

    def median_time_past(self, height: int) -> int:
        """Median time past of the active block at `height`, seconds since 1970."""
        ...

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An unspent output."""
        ...


def check_shape(transaction: Transaction) -> None:
    """Rules that need nothing but the transaction. Raises TransactionRejected."""
    if not transaction.inputs:
        raise TransactionRejected("bad-txns-vin-empty")
    if not transaction.outputs:
        raise TransactionRejected("bad-txns-vout-empty")
    if len(transaction.stripped) * WITNESS_SCALE > MAX_BLOCK_WEIGHT:
        raise TransactionRejected("bad-txns-oversize")
    _check_values(transaction)
    _check_outpoints(transaction)


def _check_values(transaction: Transaction) -> None:
    total = 0
    for output in transaction.outputs:
        if output.value < 0:
            raise TransactionRejected("bad-txns-vout-negative")
        if output.value > MAX_MONEY_SAT:
            raise TransactionRejected("bad-txns-vout-toolarge")
        total += output.value
        if total > MAX_MONEY_SAT:
            raise TransactionRejected("bad-txns-txouttotal-toolarge")


def _check_outpoints(transaction: Transaction) -> None:
    spent = {i.previous for i in transaction.inputs}
    if len(spent) != len(transaction.inputs):
        raise TransactionRejected("bad-txns-inputs-duplicate")
    if transaction.is_coinbase:
        if not 2 <= len(transaction.inputs[0].script_sig) <= 100:
            raise TransactionRejected("bad-cb-length")
    elif OutPoint(bytes(32), NULL_INDEX) in spent:
        raise TransactionRejected("bad-txns-prevout-null")


def is_final(transaction: Transaction, chain: ChainView) -> bool:
    """True when the lock time allows the next block: its height, or the median time past of the tip."""
    if transaction.lock_time == 0 or all(i.sequence == FINAL_SEQUENCE for i in transaction.inputs):
        return True
    if transaction.lock_time < LOCK_TIME_THRESHOLD:
        return transaction.lock_time < chain.height + 1
    return transaction.lock_time < chain.median_time_past(chain.height)


def relative_locks_met(transaction: Transaction, coins: Sequence[Coin], chain: ChainView) -> bool:
    """True when every input's relative lock (BIP68) allows the next block. `coins` in the order of the inputs."""
    if transaction.version < 2:
        return True
    return all(
        _relative_lock_met(spend.sequence, coin, chain)
        for spend, coin in zip(transaction.inputs, coins, strict=True)
        if not spend.sequence & SEQUENCE_DISABLED
    )


def _relative_lock_met(sequence: int, coin: Coin, chain: ChainView) -> bool:
    span = sequence & SEQUENCE_MASK
    if not sequence & SEQUENCE_IS_TIME:
        return coin.height + span <= chain.height + 1
    # An unconfirmed output counts from the tip; a confirmed one from the block before its own.
    since = chain.median_time_past(min(max(coin.height - 1, 0), chain.height))
    return since + (span << SEQUENCE_GRANULARITY) <= chain.median_time_past(chain.height)


def fee_of(transaction: Transaction, coins: Sequence[Coin], chain: ChainView) -> int:
    """Satoshi the inputs hold above the outputs. Raises TransactionRejected when immature or negative."""
    for coin in coins:
        depth = chain.height + 1 - coin.height
        if coin.coinbase and depth < COINBASE_MATURITY:
            details = f"tried to spend coinbase at depth {depth}"
            raise TransactionRejected("bad-txns-premature-spend-of-coinbase", details)
    value_in, value_out = sum(c.output.value for c in coins), transaction.value_out
    if value_in < value_out:
        details = f"value in ({money(value_in)}) < value out ({money(value_out)})"
        raise TransactionRejected("bad-txns-in-belowout", details)
    return value_in - value_out
