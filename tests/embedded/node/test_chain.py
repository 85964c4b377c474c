"""Blocks: determinism, reorganisations, restarts, the journal, the index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.embedded.node.block import assemble, subsidy
from coordinator.embedded.node.clock import MAX_AHEAD_SECONDS, NodeClock
from coordinator.embedded.node.codec import OutPoint, TxOutput
from coordinator.embedded.node.errors import BlockRejected, ClockRefused, DataDirectoryInUse, JournalDamaged
from coordinator.embedded.node.index import ChainIndex, script_hash
from coordinator.embedded.node.journal import MAGIC
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator_core.errors import InvalidInput

ELSEWHERE = b"\x51\x20" + bytes(31) + b"\x01"


def fresh_index(node: EmbeddedNode) -> ChainIndex:
    index = ChainIndex()
    for block in node.chain.active:
        index.connect(block.block, block.height)
    return index


def same_index(one: ChainIndex, other: ChainIndex, keys: list[bytes]) -> bool:
    same_maps = (one.coins, one.transactions, one.spends) == (other.coins, other.transactions, other.spends)
    same_scripts = all(sorted(one.unspent(k)) == sorted(other.unspent(k)) for k in keys)
    return same_maps and same_scripts and all(sorted(one.history(k)) == sorted(other.history(k)) for k in keys)


def test_the_same_seed_and_time_give_the_same_chain(tmp_path: Path, options: NodeOptions) -> None:
    tips = set[bytes]()
    for name in ("one", "two"):
        with EmbeddedNode(tmp_path / name, options) as node:
            node.fund(ELSEWHERE, 1_000)
            node.mine(3)
            tips.add(node.tip.hash)
    assert len(tips) == 1


def test_a_new_chain_starts_in_the_past_with_coins_to_spend(tmp_path: Path) -> None:
    with EmbeddedNode(tmp_path / "node") as node:
        machine = node.clock.latest - MAX_AHEAD_SECONDS
        assert machine - 30 * 24 * 3600 - 5 <= node.tip.time <= machine - 30 * 24 * 3600 + 5
        assert node.height == 150
        for _ in range(51):
            node.fund(ELSEWHERE, 49_00000000)


def test_each_block_takes_its_time(node: EmbeddedNode) -> None:
    before = node.tip.time
    node.mine(1)
    assert node.tip.time == before + 600
    node.mine(2, seconds_per_block=86_400)
    assert node.tip.time == before + 600 + 2 * 86_400
    node.mine(3, seconds_per_block=0)
    assert node.tip.time == before + 600 + 2 * 86_400


def test_time_never_runs_ahead_of_what_the_engine_takes() -> None:
    clock = NodeClock(machine=lambda: 1_795_000_000)
    clock.advance(10**9)
    assert clock.now() == clock.latest == 1_795_000_000 + MAX_AHEAD_SECONDS
    with pytest.raises(ClockRefused):
        clock.freeze(clock.latest + 1)
    with pytest.raises(ClockRefused):
        clock.freeze(5)


def test_frozen_time_flows_on_from_where_it_stood() -> None:
    now = [1_795_000_000]
    clock = NodeClock(machine=lambda: now[0])
    clock.freeze(1_700_000_000)
    now[0] += 50
    assert clock.now() == 1_700_000_000
    clock.flow()
    now[0] += 7
    assert clock.now() == 1_700_000_007


def test_a_reorganisation_unconfirms_and_confirms_again(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    parent = key.sweep(coin(), 500)
    child = key.sweep(output(parent), 500)
    node.send(parent)
    node.mine()
    node.send(child)
    node.mine(2)
    tip, confirmed_in = node.tip, node.chain.active[-3]
    assert parent in confirmed_in.block.transactions
    node.invalidate(confirmed_in)
    assert node.height == confirmed_in.height - 1
    assert [e.transaction for e in node.mempool] == [parent, child]
    assert node.chain.index.stale[parent.txid].block_hash == confirmed_in.hash
    node.reconsider(confirmed_in)
    assert node.tip is tip
    assert len(node.mempool) == 0


def test_a_reorganisation_that_spends_a_coin_otherwise_drops_what_depended_on_it(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any]
) -> None:
    mine = coin()
    first, rival = key.sweep(mine, 500), key.sweep(mine, 700)
    node.send(first)
    fork = node.mine()[0]
    node.send(key.sweep(output(first), 500))
    node.mine()
    node.invalidate(fork)
    node.mine_exactly([rival])
    assert len(node.mempool) == 0
    node.mine(3)
    node.reconsider(fork)
    assert rival.txid in node.chain.index.transactions
    assert first.txid not in node.chain.index.transactions


def test_the_index_after_reorganisations_is_that_of_a_fresh_start(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any]
) -> None:
    for _ in range(4):
        mine = coin()
        node.send(key.spend([mine], [TxOutput(mine[1].value - 400, ELSEWHERE)]))
        node.mine()
    blocks = node.chain.active
    node.invalidate(blocks[-3])
    node.mine(2)
    node.invalidate(node.tip)
    node.reconsider(node.chain.nodes[blocks[-1].hash])
    keys = [script_hash(s) for s in (key.script, node.faucet.script, ELSEWHERE)]
    assert same_index(node.chain.index, fresh_index(node), keys)
    created = sum(subsidy(h) for h in range(1, node.height + 1))
    assert sum(c.output.value for c in node.chain.index.coins.values()) == created


def test_mining_on_after_an_invalidation_makes_another_block(node: EmbeddedNode) -> None:
    first = node.mine(1, seconds_per_block=0)[0]
    node.invalidate(first)
    second = node.mine(1, seconds_per_block=0)[0]
    assert second.hash != first.hash
    assert node.tip is second


def test_the_genesis_block_stays(node: EmbeddedNode) -> None:
    with pytest.raises(InvalidInput, match="genesis"):
        node.invalidate(node.chain.active[0])


def test_a_restart_keeps_chain_clock_settings_and_mempool(tmp_path: Path, options: NodeOptions, key: Any) -> None:
    directory = tmp_path / "node"
    with EmbeddedNode(directory, options) as node:
        node.mine(2)
        gone = node.mine(2)[0]
        node.invalidate(gone)
        node.set_fees(block_floor=7_000, mempool_minimum=9)
        node.set_estimates({6: 1_234})
        waiting = node.fund(key.script, 5_000)
        expected = node.tip.hash, node.clock.now(), node.settings
    with EmbeddedNode(directory, options) as node:
        assert (node.tip.hash, node.clock.now(), node.settings) == expected
        assert node.mempool.output(waiting) is not None
        assert node.chain.index.stale[gone.block.transactions[0].txid].block_hash == gone.hash
        node.reconsider(node.chain.nodes[gone.hash])
        assert node.height == gone.height + 1


def test_one_data_directory_serves_one_node(node: EmbeddedNode, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryInUse):
        EmbeddedNode(tmp_path / "node")


@pytest.mark.parametrize("cut", [1, 40, 100])
def test_a_record_cut_off_by_a_crash_is_dropped(tmp_path: Path, options: NodeOptions, cut: int) -> None:
    directory = tmp_path / "node"
    with EmbeddedNode(directory, options) as node:
        before = node.tip.hash
        node.mine()
    journal = directory / "blocks.journal"
    os.truncate(journal, journal.stat().st_size - cut)
    with EmbeddedNode(directory, options) as node:
        assert node.tip.hash == before
        node.mine(2)
        after = node.tip.hash
    with EmbeddedNode(directory, options) as node:
        assert node.tip.hash == after


def test_damage_in_the_middle_is_told_and_nothing_is_lost_silently(tmp_path: Path, options: NodeOptions) -> None:
    directory = tmp_path / "node"
    EmbeddedNode(directory, options).close()
    journal = directory / "blocks.journal"
    content = bytearray(journal.read_bytes())
    content[len(MAGIC) + 50] ^= 1
    journal.write_bytes(content)
    with pytest.raises(JournalDamaged, match="record at byte"):
        EmbeddedNode(directory, options)


def test_a_foreign_file_is_not_overwritten(tmp_path: Path, options: NodeOptions) -> None:
    directory = tmp_path / "node"
    directory.mkdir()
    (directory / "blocks.journal").write_bytes(b"something else entirely, and longer than the magic")
    with pytest.raises(JournalDamaged, match="no block journal"):
        EmbeddedNode(directory, options)
    assert (directory / "blocks.journal").read_bytes().startswith(b"something")


def test_a_state_file_of_another_shape_is_told(tmp_path: Path, options: NodeOptions) -> None:
    directory = tmp_path / "node"
    directory.mkdir()
    (directory / "node.json").write_text(json.dumps(["no object"]))
    with pytest.raises(JournalDamaged, match="not the state"):
        EmbeddedNode(directory, options)


def test_blocks_from_outside(node: EmbeddedNode, key: Any, call: Callable[..., Any]) -> None:
    def block(**changes: Any) -> Any:
        height = node.height + 1
        wanted = {"time": node.tip.time + 1, "value": subsidy(height), "previous": node.tip.hash} | changes
        return assemble(wanted["previous"], height, wanted["time"], key.script, [], coinbase_value=wanted["value"])

    def answer(**changes: Any) -> Any:
        return call("submitblock", block(**changes).raw.hex())

    assert answer(value=subsidy(node.height + 1) + 1).startswith("bad-cb-amount")
    assert answer(time=node.tip.median_time_past).startswith("time-too-old")
    assert answer(time=node.clock.latest + 2 * 86_400 * 365).startswith("time-too-new")
    assert answer(previous=bytes(32)) == "prev-blk-not-found"
    good = block()
    assert call("submitblock", good.raw.hex()) is None
    assert call("submitblock", good.raw.hex()) == "duplicate"
    assert node.tip.hash == good.hash
    node.invalidate(node.tip)
    assert call("submitblock", good.raw.hex()) == "duplicate-invalid"
    assert call("submitblock", "00ff")["code"] == -22


def test_a_block_with_an_invalid_transaction_leaves_no_trace(node: EmbeddedNode, key: Any, tmp_path: Path) -> None:
    before = (tmp_path / "node" / "blocks.journal").stat().st_size
    orphan = key.sweep((OutPoint(bytes(32), 1), TxOutput(5_000, key.script)), 100)
    with pytest.raises(BlockRejected, match="missingorspent"):
        node.mine_exactly([orphan])
    assert (tmp_path / "node" / "blocks.journal").stat().st_size == before
    node.mine()
