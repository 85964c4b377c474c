"""Absolute and relative locks at their edges, in the mempool and in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.errors import BlockRejected, TransactionRejected
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.script import push, push_number

CHECK_SEQUENCE = b"\xb2\x75\x51"
"""CHECKSEQUENCEVERIFY DROP TRUE"""


def refused(node: EmbeddedNode, transaction: Transaction) -> str:
    with pytest.raises(TransactionRejected) as refusal:
        node.send(transaction)
    return str(refusal.value)


def refused_in_block(node: EmbeddedNode, transaction: Transaction) -> str:
    with pytest.raises(BlockRejected) as refusal:
        node.mine_exactly([transaction])
    return refusal.value.reason


def test_a_relative_lock_opens_in_the_block_at_its_depth(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    locked = key.sweep(coin(), 500, sequence=10)
    node.mine(8)
    assert refused(node, locked) == "non-BIP68-final"
    reason = refused_in_block(node, locked)
    assert reason == f"bad-txns-nonfinal, contains a non-BIP68-final transaction {locked.id}"
    node.mine()
    node.send(locked)
    assert locked in node.mine()[0].block.transactions


def test_a_version_1_transaction_has_no_relative_lock(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    free = key.sweep(coin(), 500, sequence=10, version=1)
    node.send(free)
    assert free in node.mine()[0].block.transactions


def test_a_relative_time_lock_follows_median_time(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    locked = key.sweep(coin(), 500, sequence=1 << 22 | 4)
    since = node.chain.active[-2].median_time_past
    node.mine(1, seconds_per_block=10 * 512)
    assert node.tip.time >= since + 4 * 512
    while node.tip.median_time_past < since + 4 * 512:
        assert refused(node, locked) == "non-BIP68-final"
        node.mine()
    node.send(locked)


def test_a_height_lock_opens_one_block_after_its_height(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    mine = coin()
    locked = key.sweep(mine, 500, lock_time=node.height + 1)
    assert refused(node, locked) == "non-final"
    assert refused_in_block(node, locked) == "bad-txns-nonfinal, non-final transaction"
    node.mine()
    node.send(locked)
    assert locked in node.mine()[0].block.transactions


def test_a_time_lock_follows_median_time_and_not_block_time(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    lock = node.clock.now() + 3600
    locked = key.sweep(coin(), 500, lock_time=lock)
    node.mine(1, seconds_per_block=7200)
    assert node.tip.time > lock
    assert refused(node, locked) == "non-final"
    while node.tip.median_time_past <= lock:
        assert refused(node, locked) == "non-final"
        node.mine()
    node.send(locked)


def test_final_sequences_switch_the_lock_time_off(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    free = key.sweep(coin(), 500, lock_time=node.height + 50, sequence=0xFFFFFFFF)
    node.send(free)
    assert free in node.mine()[0].block.transactions


@pytest.mark.parametrize(
    ("sequence", "version", "opens"),
    [(5, 2, True), (4, 2, False), (5, 1, False), (1 << 31 | 5, 2, False)],
)
def test_checksequenceverify(
    node: EmbeddedNode, key: Any, one_leaf: Callable[..., Any], sequence: int, version: int, opens: bool
) -> None:
    leaf = push_number(5) + CHECK_SEQUENCE
    script, control = one_leaf(leaf)
    locked = node.fund(script, 50_000)
    node.mine(5)
    spend = Transaction.build(
        [TxInput(locked, sequence=sequence, witness=(leaf, control))], [TxOutput(49_000, key.script)], version=version
    )
    if opens:
        node.send(spend)
        return
    words = "script-verify-flag-failed (Locktime requirement not satisfied), input 0 of "
    assert refused(node, spend).startswith("mempool-" + words)
    assert refused_in_block(node, spend).startswith("block-" + words)


def test_the_text_of_a_failed_script_is_found_below_unconfirmed_parents(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    parent = key.sweep(coin(), 500)
    node.send(parent)
    outpoint, spent = output(parent)
    forged = Transaction.build(
        [TxInput(outpoint, witness=(bytes(31) + b"\1" + bytes(31) + b"\1",))], [TxOutput(spent.value - 500, key.script)]
    )
    for _ in range(2):
        assert refused(node, forged).startswith(
            "mempool-script-verify-flag-failed (Invalid Schnorr signature), input 0"
        )
    assert node.mine()[0].block.transactions[1:] == (parent,)


def test_asking_the_engine_changes_nothing(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    good = key.sweep(coin(), 500)
    tip = node.tip
    assert node.chain.would_connect([good], key.script, node.tip.time + 1) is None
    missing = key.sweep((OutPoint(bytes(32), 7), TxOutput(9_000, key.script)), 500)
    reason = node.chain.would_connect([missing], key.script, node.tip.time + 1)
    assert reason is not None
    assert reason.startswith("bad-txns-inputs-missingorspent")
    assert node.tip is tip
    node.send(good)


def test_immature_coinbase(node: EmbeddedNode, key: Any) -> None:
    (block,) = node.mine(1, key.script)
    made = block.block.transactions[0]
    early = key.sweep((OutPoint(made.txid, 0), made.outputs[0]), 500)
    node.mine(98)
    assert refused(node, early) == "bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99"
    node.mine()
    node.send(early)


def test_push_number_is_minimal() -> None:
    assert push_number(16) == b"\x60"
    assert push_number(17) == push(b"\x11")
    assert push_number(128) == push(b"\x80\x00")
    assert push_number(0x7FFF) == push(b"\xff\x7f")
