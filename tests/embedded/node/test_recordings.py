"""Every exchange recorded from bitcoind, asked of the embedded node on a chain of the same blocks.

The recorder's chain can be made again: its coinbases pay one key, its clock stood still while it mined faster than
one block a second. So txids, block hashes, fees and messages are compared as they are, down to the eight decimals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from embit.ec import PrivateKey

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.faucet import key_path_hash
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator.embedded.node.rpc.dispatch import Dispatcher
from coordinator.embedded.node.rpc.method import Context

RECORDED_AT = 1_795_259_684
VECTORS = Path(__file__).parents[2] / "vectors" / "bitcoind" / "exchanges.jsonl"
EXCHANGES = [json.loads(line, parse_float=str) for line in VECTORS.read_text().splitlines()]
HTTP_ONLY = {"http_get", "auth_wrong", "auth_missing"}
"""Compared over HTTP in tests/services/node."""
NOT_SERVED = {name for name in (e["name"] for e in EXCHANGES) if name.startswith("startup_")}
"""The embedded node listens only when it is ready."""
OWN_VALUES = {
    "getblockchaininfo": {"warnings", "size_on_disk"},
    "getnetworkinfo": {
        "subversion", "localservices", "localservicesnames", "localrelay", "networkactive", "networks", "warnings"
    },
    "getmempoolinfo": {"usage"},
}  # fmt: skip


class Replay:
    """The recorder's run: what it did between the exchanges, by the exchange that follows."""

    def __init__(self, node: EmbeddedNode) -> None:
        self.node = node
        # Signed with embit as the recorder did: its nonces are not those of BIP340's default, and the witness
        # commitment of a block, so its hash, depends on them.
        self.key = PrivateKey(sha256(b"recorded").digest()).taproot_tweak(b"")
        self.script = b"\x51\x20" + self.key.xonly()
        self.recorded = {e["name"]: e for e in EXCHANGES}
        self.before: dict[str, Callable[[], object]] = {
            "getblockchaininfo": lambda: self.mine(130),
            "testmempoolaccept_conflict_same_fee": self.take_back_priority,
            "getblock_0": lambda: self.mine(1),
            "testmempoolaccept_script_lock_unmet": lambda: self.mine(8),
            "testmempoolaccept_already_confirmed_all_spent": self.spend_the_last_output,
            "submitpackage_confirmed": lambda: self.mine(1),
            "generatetoaddress": self.send_what_will_be_reorganised,
            "invalidateblock": lambda: self.mine(1),
            "reconsiderblock": lambda: self.node.mine_exactly([], self.script),
        }

    def mine(self, count: int) -> None:
        self.node.mine(count, self.script)

    def take_back_priority(self) -> None:
        self.node.mempool.fee_deltas.clear()

    def spend_the_last_output(self) -> None:
        timely = Transaction.parse(
            bytes.fromhex(self.recorded["sendrawtransaction_script_path"]["request"]["params"][0])
        )
        outputs = [TxOutput(timely.outputs[0].value - 500, self.script)]
        spend = TxInput(OutPoint(timely.txid, 0), sequence=0xFFFFFFFD)
        unsigned = Transaction.build([spend], outputs)
        signature = self.key.schnorr_sign(key_path_hash(unsigned, timely.outputs[:1], 0)).serialize()
        signed = TxInput(spend.previous, sequence=spend.sequence, witness=(signature,))
        self.node.send(Transaction.build([signed], outputs))
        self.mine(1)

    def send_what_will_be_reorganised(self) -> None:
        raw = self.recorded["getrawtransaction_after_invalidate"]["body"]["result"]["hex"]
        self.node.send(bytes.fromhex(raw))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, Any]]:
    options = NodeOptions(start_time=RECORDED_AT, frozen=True, block_interval_seconds=0, bootstrap_blocks=0)
    given: dict[str, tuple[int, Any]] = {}
    with EmbeddedNode(tmp_path_factory.mktemp("recorded"), options) as node:
        replay = Replay(node)
        dispatcher = Dispatcher(Context(node, stop=lambda: None, uptime_seconds=lambda: 0))
        for exchange in EXCHANGES:
            name, request = exchange["name"], exchange["request"]
            if name in HTTP_ONLY | NOT_SERVED:
                continue
            replay.before.get(name, lambda: None)()
            body = request if isinstance(request, str) else json.dumps(request)
            answer = dispatcher.answer(body.encode())
            parsed = json.loads(answer.body, parse_float=str) if answer.body else ""
            given[name] = answer.status, parsed
    return given


def _comparable(name: str, body: Any) -> Any:
    if isinstance(body, dict) and isinstance(body.get("result"), dict):
        left_out = OWN_VALUES.get(name, set())
        body = body | {"result": {k: v for k, v in body["result"].items() if k not in left_out}}
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and body["error"]["code"] == -1:
        # The message is the help text; its first line is the usage.
        message = body["error"]["message"].splitlines()[0]
        body = body | {"error": body["error"] | {"message": message}}
    return body


@pytest.mark.parametrize("name", [e["name"] for e in EXCHANGES if e["name"] not in HTTP_ONLY | NOT_SERVED])
def test_answers_as_recorded(name: str, answers: dict[str, tuple[int, Any]]) -> None:
    recorded = next(e for e in EXCHANGES if e["name"] == name)
    status, body = answers[name]
    assert status == recorded["status"]
    assert _comparable(name, body) == _comparable(name, recorded["body"])
