"""Ephemeral dust: one output below the dust limit is allowed in a transaction without fee whose child spends it."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.embedded.node.codec import OutPoint, Transaction, display_hex
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.standardness import dust_outputs


def check_dust_has_no_fee(transaction: Transaction, fee: int, modified_fee: int) -> None:
    """A miner must have no reason to mine dust alone. Raises TransactionRejected."""
    if (fee or modified_fee) and dust_outputs(transaction):
        raise TransactionRejected("dust", "tx with dust output must be 0-fee")


def check_parents_dust_is_spent(transaction: Transaction, parents: Sequence[Transaction]) -> None:
    """Whoever spends from an unconfirmed transaction spends its dust too. Raises TransactionRejected."""
    spent = {i.previous for i in transaction.inputs}
    for parent in parents:
        if any(OutPoint(parent.txid, vout) not in spent for vout in dust_outputs(parent)):
            named = f"{transaction.id} (wtxid={display_hex(transaction.wtxid)})"
            raise TransactionRejected("missing-ephemeral-spends", f"tx {named} did not spend parent's ephemeral dust")
