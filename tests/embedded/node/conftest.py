"""Fixtures of the embedded node: nodes at a fixed time, and a key whose coins tests spend."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput, hash256, with_length
from coordinator.embedded.node.faucet import key_path_hash
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator.embedded.node.rpc.dispatch import Dispatcher
from coordinator.embedded.node.rpc.method import Context
from coordinator.embedded.node.script import push
from coordinator_core.secp256k1 import SecretKey, schnorr_sign

START = 1_795_000_000
REPLACEABLE = 0xFFFFFFFD


@pytest.fixture
def options() -> NodeOptions:
    """A short chain: its blocks take most of a test's time, and eleven coinbases can be spent."""
    return NodeOptions(start_time=START, frozen=True, bootstrap_blocks=110)


@pytest.fixture
def node(tmp_path: Path, options: NodeOptions) -> Iterator[EmbeddedNode]:
    with EmbeddedNode(tmp_path / "node", options) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNode]:
    options = NodeOptions(start_time=START, frozen=True, bootstrap_blocks=110)
    with EmbeddedNode(tmp_path_factory.mktemp("shared") / "node", options) as opened:
        yield opened


@pytest.fixture
def unchanged_node(shared_node: EmbeddedNode) -> Iterator[EmbeddedNode]:
    """A node for what is only read or refused: one for a module, and each test must leave it as it was."""

    def state() -> tuple[object, ...]:
        mempool = [entry.transaction.txid for entry in shared_node.mempool]
        return shared_node.chain.tip, shared_node.clock.now(), mempool, deepcopy(shared_node.settings)

    before = state()
    yield shared_node
    assert state() == before


class Key:
    """A key-path taproot key that signs whole transactions."""

    def __init__(self, seed: str) -> None:
        self.secret = SecretKey.from_bytes(sha256(seed.encode()).digest()).taproot_tweaked()
        self.script = b"\x51" + push(self.secret.x_only)

    def spend(
        self,
        coins: Sequence[tuple[OutPoint, TxOutput]],
        outputs: Sequence[TxOutput],
        *,
        version: int = 2,
        lock_time: int = 0,
        sequence: int = REPLACEABLE,
    ) -> Transaction:
        """Spend coins; those that are not ours (anchors) get an empty witness."""
        inputs = [TxInput(o, sequence=sequence) for o, _ in coins]
        unsigned = Transaction.build(inputs, outputs, version=version, lock_time=lock_time)
        spent = [o for _, o in coins]
        signed = [
            TxInput(
                i.previous,
                sequence=i.sequence,
                witness=(schnorr_sign(key_path_hash(unsigned, spent, n), self.secret, bytes(32)),)
                if spent[n].script == self.script
                else (),
            )
            for n, i in enumerate(inputs)
        ]
        return Transaction.build(signed, outputs, version=version, lock_time=lock_time)

    def sweep(self, coin: tuple[OutPoint, TxOutput], fee: int, **rest: Any) -> Transaction:
        """Spend one coin to ourselves."""
        return self.spend([coin], [TxOutput(coin[1].value - fee, self.script)], **rest)


@pytest.fixture
def key() -> Key:
    return Key("a key of the tests")


@pytest.fixture
def make_key() -> Callable[[str], Key]:
    return Key


def output_of(transaction: Transaction, vout: int = 0) -> tuple[OutPoint, TxOutput]:
    return OutPoint(transaction.txid, vout), transaction.outputs[vout]


@pytest.fixture
def output() -> Callable[..., tuple[OutPoint, TxOutput]]:
    return output_of


@pytest.fixture
def coin(node: EmbeddedNode, key: Key) -> Callable[..., tuple[OutPoint, TxOutput]]:
    """A confirmed coin of the key."""

    def make(value: int = 100_000) -> tuple[OutPoint, TxOutput]:
        outpoint = node.fund(key.script, value)
        node.mine()
        return outpoint, TxOutput(value, key.script)

    return make


@pytest.fixture
def call(node: EmbeddedNode) -> Callable[..., Any]:
    """Call a method; its result, or {"code", "message"} of its error."""
    return caller(node)


@pytest.fixture
def call_unchanged(unchanged_node: EmbeddedNode) -> Callable[..., Any]:
    """The same, of a node that must stay as it is."""
    return caller(unchanged_node)


def caller(node: EmbeddedNode) -> Callable[..., Any]:
    dispatcher = Dispatcher(Context(node, stop=lambda: None, uptime_seconds=lambda: 0))

    def do(method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = json.loads(dispatcher.answer(json.dumps(request).encode()).body)
        return answer["result"] if "result" in answer else answer["error"]

    return do


def leaf_output(leaf: bytes, internal: bytes) -> tuple[bytes, bytes]:
    """(locking script, control block) of a taproot output with one leaf and an unspendable-by-key internal key."""
    from coordinator_core.secp256k1 import lift_x, point_tweak_add, tagged_hash

    root = tagged_hash("TapLeaf", b"\xc0" + with_length(leaf))
    point = point_tweak_add(lift_x(internal), tagged_hash("TapTweak", internal + root))
    return b"\x51" + push(point[1:]), bytes([0xC0 | (point[0] & 1)]) + internal


@pytest.fixture
def one_leaf() -> Callable[[bytes], tuple[bytes, bytes]]:
    internal = SecretKey.from_bytes(hash256(b"nobody")).x_only
    return lambda leaf: leaf_output(leaf, internal)
