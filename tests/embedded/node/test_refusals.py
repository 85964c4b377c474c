"""Form, standardness and version 3: what the mempool refuses, in Core's words. Recorded ones are in test_recordings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.errors import FundsMissing, TransactionRejected
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.script import PAY_TO_ANCHOR, push
from coordinator.embedded.node.standardness import dust_threshold
from coordinator_core.errors import InvalidInput

FALSE_TOP = (
    "mempool-script-verify-flag-failed "
    "(Script evaluated without error but finished with a false/empty top stack element)"
)
TAPROOT = b"\x51\x20" + bytes(31) + b"\x01"


def refused(node: EmbeddedNode, transaction: Transaction) -> str:
    with pytest.raises(TransactionRejected) as refusal:
        node.send(transaction)
    return str(refusal.value)


def paying(key: Any, coin: Any, *outputs: TxOutput, **rest: Any) -> Transaction:
    """Outputs, and change that leaves 5,000 sat of fee."""
    change = coin[1].value - sum(o.value for o in outputs) - 5_000
    return key.spend([coin], [*outputs, TxOutput(change, key.script)], **rest)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (TxOutput(1_000, b"\x00\x00"), "scriptpubkey"),
        (TxOutput(1_000, b"\x51\xae"), "scriptpubkey"),
        (TxOutput(-1, TAPROOT), "bad-txns-vout-negative"),
        (TxOutput(2_100_000_000_000_001, TAPROOT), "bad-txns-vout-toolarge"),
        (TxOutput(329, TAPROOT), "dust, tx with dust output must be 0-fee"),
        (TxOutput(239, PAY_TO_ANCHOR), "dust, tx with dust output must be 0-fee"),
    ],
)
def test_outputs(node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: TxOutput, reason: str) -> None:
    assert refused(node, paying(key, coin(), output)) == reason


def test_thresholds_of_dust() -> None:
    limits = {TAPROOT: 330, PAY_TO_ANCHOR: 240, b"\x00\x14" + bytes(20): 294, b"\x6a\x01\x00": 0}
    assert {script: dust_threshold(TxOutput(0, script)) for script in limits} == limits


def test_two_dust_outputs(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    dust = TxOutput(100, TAPROOT)
    assert refused(node, paying(key, coin(), dust, dust)) == "dust"


def test_an_anchor_of_240_passes_and_its_spend_needs_no_witness(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    parent = paying(key, coin(), TxOutput(240, PAY_TO_ANCHOR))
    node.send(parent)
    anchor = OutPoint(parent.txid, 0), parent.outputs[0]
    change = OutPoint(parent.txid, 1), parent.outputs[1]
    child = key.spend([anchor, change], [TxOutput(change[1].value - 3_000, key.script)])
    stuffed = Transaction.build(
        [TxInput(anchor[0], sequence=child.inputs[0].sequence, witness=(b"\x01",)), child.inputs[1]], child.outputs
    )
    assert refused(node, stuffed) == "bad-witness-nonstandard"
    node.send(child)
    assert node.mine()[0].block.transactions[1:] == (parent, child)


def test_two_inputs_of_one_coin(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    mine = coin()
    twice = key.spend([mine, mine], [TxOutput(1_000, key.script)])
    assert refused(node, twice) == "bad-txns-inputs-duplicate"


def test_a_coinbase_and_a_small_transaction(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    assert refused(node, node.tip.block.transactions[0]) == "coinbase"
    mine = coin()
    small = key.spend([mine], [TxOutput(0, b"\x6a")])
    assert len(small.stripped) < 65
    assert refused(node, small) == "tx-size-small"


def test_a_script_sig_that_does_more_than_push(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    signed = key.sweep(coin(), 500)
    spend = signed.inputs[0]
    odd = TxInput(spend.previous, b"\x61", spend.sequence, spend.witness)
    assert refused(node, Transaction.build([odd], signed.outputs)) == "scriptsig-not-pushonly"
    long = TxInput(spend.previous, push(bytes(60)) * 30, spend.sequence, spend.witness)
    assert refused(node, Transaction.build([long], signed.outputs)) == "scriptsig-size"


@pytest.mark.parametrize(
    ("leaf", "stack", "reason"),
    [
        (b"\x51", (bytes(81),), "bad-witness-nonstandard"),
        (b"\x50", (), "mempool-script-verify-flag-failed (OP_SUCCESSx reserved for soft-fork upgrades)"),
        (b"\x00", (), FALSE_TOP),
        (b"\x51", (b"\x01",), "mempool-script-verify-flag-failed (Stack size must be exactly one after execution)"),
    ],
)  # fmt: skip
def test_witnesses(
    node: EmbeddedNode,
    key: Any,
    one_leaf: Callable[..., Any],
    leaf: bytes,
    stack: tuple[bytes, ...],
    reason: str,
) -> None:
    script, control = one_leaf(leaf)
    outpoint = node.fund(script, 10_000)
    spend = Transaction.build([TxInput(outpoint, witness=(*stack, leaf, control))], [TxOutput(9_000, key.script)])
    with pytest.raises(TransactionRejected) as refusal:
        node.send(spend)
    assert refusal.value.reason == reason


def test_a_wrong_control_block(node: EmbeddedNode, key: Any, one_leaf: Callable[..., Any]) -> None:
    script, control = one_leaf(b"\x51")
    outpoint = node.fund(script, 10_000)
    spend = Transaction.build([TxInput(outpoint, witness=(b"\x52", control))], [TxOutput(9_000, key.script)])
    assert "(Witness program hash mismatch)" in refused(node, spend)


def test_version_3_is_inherited_both_ways(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    parent = key.sweep(coin(), 500, version=3)
    node.send(parent)
    assert "non-version=3 tx" in refused(node, key.sweep(output(parent), 500))
    node.send(key.sweep(output(parent), 500, version=3))


def test_a_version_3_family_is_one_parent_and_one_child(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    mine = coin()
    half = TxOutput(mine[1].value // 2 - 300, key.script)
    parent = key.spend([mine], [half, half], version=3)
    node.send(parent)
    child = key.sweep(output(parent, 0), 500, version=3)
    node.send(child)
    assert "would have too many ancestors" in refused(node, key.sweep(output(child), 500, version=3))
    assert "would exceed descendant count limit" in refused(node, key.sweep(output(parent, 1), 500, version=3))
    node.mine()
    node.send(key.sweep(output(parent, 1), 500, version=3))


def test_a_version_3_child_is_small(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    parent = key.sweep(coin(), 500, version=3)
    node.send(parent)
    large = paying(key, output(parent), *[TxOutput(1_000, TAPROOT)] * 25, version=3)
    assert large.vsize > 1_000
    assert "is too big" in refused(node, large)


@pytest.mark.parametrize("raw", [b"", b"\x02", bytes(10), bytes(200)])
def test_bytes_that_are_no_transaction(unchanged_node: EmbeddedNode, raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        unchanged_node.send(raw)


def test_the_faucet_says_when_it_is_dry(unchanged_node: EmbeddedNode) -> None:
    with pytest.raises(FundsMissing):
        unchanged_node.fund(TAPROOT, 20_000 * 100_000_000)
    assert len(unchanged_node.mempool) == 0
