"""Version 3 transactions (BIP431, "topologically restricted until confirmation"): inheritance, size, topology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator.embedded.node.codec import Transaction, display_hex
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.mempool import Mempool

TRUC_VERSION: Final = 3
MAX_VSIZE: Final = 10_000
MAX_CHILD_VSIZE: Final = 1_000
MAX_ANCESTORS: Final = 2
MAX_DESCENDANTS: Final = 2


def check_truc(
    transaction: Transaction, parents: Sequence[Transaction], mempool: Mempool, replaced: set[bytes]
) -> None:
    """Check a transaction against its unconfirmed parents. Raises TransactionRejected.

    `parents` may be in the mempool or earlier in a package; `replaced` are mempool entries that would leave.
    Core would let a second child evict its sibling; here it must replace it by a conflict.
    """
    named = _named(transaction)
    for parent in parents:
        if (parent.version == TRUC_VERSION) != (transaction.version == TRUC_VERSION):
            mine, other = _kind(transaction), _kind(parent)
            raise _violation(f"{mine} tx {named} cannot spend from {other} tx {_named(parent)}")
    if transaction.version != TRUC_VERSION:
        return
    if transaction.vsize > MAX_VSIZE:
        raise _violation(f"version=3 tx {named} is too big: {transaction.vsize} > {MAX_VSIZE} virtual bytes")
    if parents:
        _check_child(transaction, parents, mempool, replaced)


def _check_child(
    transaction: Transaction, parents: Sequence[Transaction], mempool: Mempool, replaced: set[bytes]
) -> None:
    named = _named(transaction)
    ancestors = mempool.ancestors(p.txid for p in parents) | {p.txid for p in parents}
    if len(ancestors) + 1 > MAX_ANCESTORS:
        raise _violation(f"tx {named} would have too many ancestors")
    if transaction.vsize > MAX_CHILD_VSIZE:
        size = f"{transaction.vsize} > {MAX_CHILD_VSIZE} virtual bytes"
        raise _violation(f"version=3 child tx {named} is too big: {size}")
    for parent in parents:
        entry = mempool.get(parent.txid)
        if entry is not None and len(entry.children - replaced) + 2 > MAX_DESCENDANTS:
            raise _violation(f"tx {_named(parent)} would exceed descendant count limit")


def _named(transaction: Transaction) -> str:
    return f"{transaction.id} (wtxid={display_hex(transaction.wtxid)})"


def _kind(transaction: Transaction) -> str:
    return "version=3" if transaction.version == TRUC_VERSION else "non-version=3"


def _violation(details: str) -> TransactionRejected:
    return TransactionRejected("TRUC-violation", details)
