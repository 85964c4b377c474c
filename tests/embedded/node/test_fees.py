"""What fees decide: the block floor on ancestor packages, the mempool minimum, replacement, packages, estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput
from coordinator.embedded.node.errors import RejectionKind, TransactionRejected
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.script import PAY_TO_ANCHOR
from coordinator_core.errors import InvalidInput

ANCHOR = TxOutput(240, PAY_TO_ANCHOR)


def refused(node: EmbeddedNode, transaction: Transaction) -> TransactionRejected:
    with pytest.raises(TransactionRejected) as refusal:
        node.send(transaction)
    return refusal.value


def mined(node: EmbeddedNode) -> tuple[Transaction, ...]:
    return node.mine()[0].block.transactions[1:]


def with_anchor(key: Any, coin: Any, fee: int) -> Transaction:
    return key.spend([coin], [TxOutput(coin[1].value - fee - ANCHOR.value, key.script), ANCHOR])


def child_of_anchor(key: Any, parent: Transaction, coin: Any, fee: int) -> Transaction:
    """A bump: spends the anchor and a coin of its own."""
    paid = TxOutput(coin[1].value + ANCHOR.value - fee, key.script)
    return key.spend([(OutPoint(parent.txid, 1), ANCHOR), coin], [paid])


def test_below_the_floor_nothing_is_mined_until_a_child_pays(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    first, second = coin(), coin()
    node.set_fees(block_floor=5_000)
    parent = with_anchor(key, first, 200)
    node.send(parent)
    assert mined(node) == ()
    weak = child_of_anchor(key, parent, second, 700)
    node.send(weak)
    assert 900 * 1000 // (parent.vsize + weak.vsize) < 5_000
    assert mined(node) == ()
    strong = child_of_anchor(key, parent, second, 3_000)
    node.send(strong)
    assert weak.txid not in node.mempool
    assert mined(node) == (parent, strong)


def test_the_floor_counts_ancestors_and_not_descendants(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    rich = key.sweep(coin(), 5_000)
    poor = key.sweep(output(rich), 100)
    node.set_fees(block_floor=20_000)
    node.send(rich)
    node.send(poor)
    assert mined(node) == (rich,)
    node.set_fees(block_floor=1)
    assert mined(node) == (poor,)


def test_the_best_paying_come_first(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    cheap, dear = key.sweep(coin(), 300), key.sweep(coin(), 3_000)
    node.send(cheap)
    node.send(dear)
    assert mined(node) == (dear, cheap)


def test_the_mempool_minimum_refuses_alone_and_lets_packages_in(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    first, second = coin(), coin()
    parent = with_anchor(key, first, 150)
    node.set_fees(mempool_minimum=3_000)
    refusal = refused(node, parent)
    assert str(refusal) == f"mempool min fee not met, 150 < {-(-3_000 * parent.vsize // 1000)}"
    assert refusal.kind is RejectionKind.RECONSIDERABLE
    child = child_of_anchor(key, parent, second, 4_000)
    result = node.submit_package([parent, child])
    assert result.message == "success"
    together = (4_150) * 1000 // (parent.vsize + child.vsize)
    assert [o.effective_rate for o in result.outcomes] == [together, together]
    assert mined(node) == (parent, child)


def test_a_package_that_pays_too_little_together_is_refused(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    first, second = coin(), coin()
    node.set_fees(mempool_minimum=3_000)
    parent = with_anchor(key, first, 150)
    child = child_of_anchor(key, parent, second, 500)
    result = node.submit_package([parent, child])
    assert result.message == "transaction failed"
    assert len(node.mempool) == 0
    needed = -(-3_000 * (parent.vsize + child.vsize) // 1000)
    assert str(result.outcomes[1].error) == f"mempool min fee not met, 650 < {needed}"


def test_a_bad_signature_fails_the_package_and_leaves_the_mempool_empty(
    node: EmbeddedNode, key: Any, make_key: Callable[..., Any], coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    first = coin()
    parent = key.spend([first], [TxOutput(first[1].value, key.script)])
    stranger = make_key("a stranger")
    stranger.script = key.script
    child = stranger.sweep(output(parent), 5_000)
    result = node.submit_package([parent, child])
    assert result.message == "transaction failed"
    assert result.outcomes[1].error is not None
    assert result.outcomes[1].error.reason == "mempool-script-verify-flag-failed (Invalid Schnorr signature)"
    assert len(node.mempool) == 0


def test_package_replacement(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    first = coin()
    former = key.sweep(first, 2_000)
    node.send(former)
    node.set_fees(mempool_minimum=1_000)
    parent = key.spend([first], [TxOutput(first[1].value - 50, key.script)])
    low = node.submit_package([parent, key.sweep(output(parent), 1_000)])
    assert low.message.startswith("package RBF failed: insufficient anti-DoS fees")
    assert former.txid in node.mempool
    high = node.submit_package([parent, key.sweep(output(parent), 8_000)])
    assert (high.message, high.replaced) == ("success", [former.txid])


def test_replacement_needs_more_fee_and_pays_for_relay(node: EmbeddedNode, key: Any, coin: Callable[..., Any]) -> None:
    mine = coin()
    first = key.sweep(mine, 1_000)
    node.send(first)
    less = refused(node, key.sweep(mine, 900))
    assert str(less).endswith("less fees than conflicting txs; 0.000009 < 0.00001")
    same = refused(node, key.sweep(mine, 1_005))
    assert str(same).endswith("not enough additional fees to relay; 0.00000005 < 0.00000012")
    better = key.sweep(mine, 1_012)
    node.send(better)
    assert mined(node) == (better,)


def test_replacement_by_a_larger_transaction_must_improve_the_fee_rate(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    mine = coin()
    node.send(key.sweep(mine, 1_000))
    part = (mine[1].value - 1_200) // 6
    large = key.spend([mine], [TxOutput(part, key.script)] * 6)
    assert refused(node, large).reason == "replacement-failed"


def test_a_replacement_takes_its_descendants_along(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    mine = coin()
    first = key.sweep(mine, 500)
    node.send(first)
    node.send(key.sweep(output(first), 5_000))
    assert refused(node, key.sweep(mine, 3_000)).reason == "insufficient fee"
    node.send(key.sweep(mine, 6_000))
    assert len(node.mempool) == 1


def test_a_transaction_cannot_spend_what_it_replaces(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    mine = coin()
    first = key.sweep(mine, 500)
    node.send(first)
    both = key.spend([mine, output(first)], [TxOutput(150_000, key.script)])
    assert refused(node, both).reason == "bad-txns-spends-conflicting-tx"


def test_the_cluster_limit(node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]) -> None:
    last = key.sweep(coin(), 200)
    node.send(last)
    for _ in range(63):
        last = key.sweep(output(last), 200)
        node.send(last)
    assert refused(node, key.sweep(output(last), 200)).reason == "too-large-cluster"


def test_priority_lifts_a_transaction_over_the_floor(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], call: Callable[..., Any]
) -> None:
    low = key.sweep(coin(), 200)
    node.send(low)
    node.set_fees(block_floor=10_000)
    assert mined(node) == ()
    assert call("prioritisetransaction", low.id, None, 5_000) is True
    assert mined(node) == (low,)


def test_estimates_answer_the_largest_known_target_below(node: EmbeddedNode, call: Callable[..., Any]) -> None:
    node.set_estimates({2: 9_000, 6: 4_000, 144: 50})
    assert call("estimatesmartfee", 6) == {"feerate": 0.00004, "blocks": 6}
    assert call("estimatesmartfee", 5) == {"feerate": 0.00009, "blocks": 5}
    assert call("estimatesmartfee", 1) == {"feerate": 0.00009, "blocks": 2}
    assert call("estimatesmartfee", 1008)["feerate"] == 0.000001
    node.set_fees(mempool_minimum=20_000)
    assert call("estimatesmartfee", 6)["feerate"] == 0.0002


@pytest.mark.parametrize("rate", [-1, 100_000_001])
def test_rates_out_of_range_are_refused(unchanged_node: EmbeddedNode, rate: int) -> None:
    with pytest.raises(InvalidInput, match="block_floor"):
        unchanged_node.set_fees(block_floor=rate)
