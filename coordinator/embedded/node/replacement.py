"""Replacement by fee, full: every unconfirmed transaction may be replaced by one that is better for a miner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator.embedded.node.chunks import Member, chunks, improves_diagram
from coordinator.embedded.node.codec import Transaction
from coordinator.embedded.node.errors import RejectionKind, TransactionRejected
from coordinator.embedded.node.fees import INCREMENTAL_RELAY_SAT_PER_KVB, fee_at, money
from coordinator.embedded.node.mempool import Mempool

MAX_REPLACED_CLUSTERS: Final = 100


def check_replacement(
    newcomers: Sequence[tuple[Transaction, int, frozenset[bytes]]],
    conflicts: set[bytes],
    evicted: set[bytes],
    mempool: Mempool,
    reason: str = "insufficient fee",
) -> None:
    """Check (transaction, modified fee, unconfirmed parents) that would push `evicted` out. Raises TransactionRejected.

    The newcomers pay at least the fees that leave and the incremental relay fee on top, and improve the fee rate
    diagram. The last of them is named in messages.
    """
    named = newcomers[-1][0]
    if len({frozenset(mempool.cluster([c])) for c in conflicts}) > MAX_REPLACED_CLUSTERS:
        details = f"rejecting replacement {named.id}; too many conflicting clusters"
        raise TransactionRejected("too many potential replacements", details)
    fee = sum(f for _, f, _ in newcomers)
    vsize = sum(t.vsize for t, _, _ in newcomers)
    old_fee, _ = mempool.total(evicted)
    if fee < old_fee:
        text = f"less fees than conflicting txs; {money(fee)} < {money(old_fee)}"
        raise _too_little(reason, named, text)
    needed = fee_at(INCREMENTAL_RELAY_SAT_PER_KVB, vsize)
    if fee - old_fee < needed:
        text = f"not enough additional fees to relay; {money(fee - old_fee)} < {money(needed)}"
        raise _too_little(reason, named, text)
    if not _improves(newcomers, evicted, mempool):
        text = "insufficient feerate: does not improve feerate diagram"
        raise TransactionRejected("replacement-failed", text, RejectionKind.RECONSIDERABLE)


def _too_little(reason: str, named: Transaction, text: str) -> TransactionRejected:
    return TransactionRejected(reason, f"rejecting replacement {named.id}, {text}", RejectionKind.RECONSIDERABLE)


def _improves(
    newcomers: Sequence[tuple[Transaction, int, frozenset[bytes]]], evicted: set[bytes], mempool: Mempool
) -> bool:
    parents = {p for _, _, found in newcomers for p in found if p in mempool}
    touched = mempool.members(mempool.cluster(evicted | parents))
    after = {txid: Member(m.fee, m.weight, m.parents - evicted) for txid, m in touched.items() if txid not in evicted}
    for transaction, fee, found in newcomers:
        after[transaction.txid] = Member(fee, transaction.weight, found - evicted)
    return improves_diagram(chunks(touched), chunks(after))
