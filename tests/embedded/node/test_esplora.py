"""Esplora's REST over the node, without the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.embedded.node.address import script_to_address
from coordinator.embedded.node.block import merkle_root
from coordinator.embedded.node.codec import display_hex, hash256
from coordinator.embedded.node.esplora.routes import ROUTES, answer
from coordinator.embedded.node.index import script_hash
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator.embedded.node.rpc.method import Context

BY_DEFAULT = pytest.mark.parametrize(
    "options", [NodeOptions(start_time=1_795_000_000, frozen=True)], ids=["chain as long as by default"]
)


@pytest.fixture
def context(node: EmbeddedNode) -> Context:
    return Context(node, stop=lambda: None, uptime_seconds=lambda: 0)


@pytest.fixture
def get(context: Context) -> Callable[[str], Any]:
    def do(path: str) -> Any:
        reply = answer(context, "GET", path, b"")
        if reply.content_type == "application/json":
            return json.loads(reply.body)
        text = reply.body.decode() if reply.content_type == "text/plain" else reply.body
        return text if reply.status == 200 else (reply.status, text)

    return do


@pytest.fixture
def post(context: Context) -> Callable[[str, bytes], tuple[int, str]]:
    def do(path: str, body: bytes) -> tuple[int, str]:
        reply = answer(context, "POST", path, body)
        return reply.status, reply.body.decode()

    return do


@BY_DEFAULT
def test_tip_and_blocks(node: EmbeddedNode, get: Callable[[str], Any]) -> None:
    tip = display_hex(node.tip.hash)
    assert get("/blocks/tip/height") == str(node.height)
    assert get("/blocks/tip/hash") == get(f"/block-height/{node.height}") == tip
    assert get(f"/block-height/{node.height + 1}") == (404, "Block not found")
    assert [b["height"] for b in get("/blocks")] == list(range(150, 140, -1))
    assert [b["height"] for b in get("/blocks/3")] == [3, 2, 1, 0]
    block = get(f"/block/{tip}")
    assert (block["id"], block["tx_count"], block["timestamp"]) == (tip, 1, node.tip.time)
    assert get(f"/block/{tip}/status") == {"in_best_chain": True, "height": 150, "next_best": None}
    assert hash256(bytes.fromhex(get(f"/block/{tip}/header")))[::-1].hex() == tip
    assert get(f"/block/{tip}/raw") == node.tip.block.raw
    assert get(f"/block/{tip}/txid/0") == get(f"/block/{tip}/txids")[0] == get(f"/block/{tip}/txs")[0]["txid"]
    assert get(f"/block/{tip}/txs/25")[0] == 404
    assert get(f"/block/{tip}/txs/7")[0] == 400


def test_a_transaction_from_mempool_to_block(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], get: Callable[[str], Any], post: Callable[..., Any]
) -> None:
    mine = coin()
    spent = display_hex(mine[0].txid)
    transaction = key.sweep(mine, 700)
    assert post("/tx", transaction.raw.hex().encode()) == (200, transaction.id)
    assert post("/tx", transaction.raw.hex().encode()) == (200, transaction.id)
    assert get(f"/tx/{transaction.id}/status") == {"confirmed": False}
    assert get("/mempool")["total_fee"] == 700
    assert get("/mempool/txids") == [transaction.id] == [m["txid"] for m in get("/mempool/recent")]
    assert get(f"/tx/{spent}/outspend/0")["status"] == {"confirmed": False}
    node.mine()
    view = get(f"/tx/{transaction.id}")
    assert view["fee"] == 700
    assert view["vin"][0]["prevout"]["scriptpubkey_address"] == script_to_address(key.script)
    assert view["status"] == {
        "confirmed": True,
        "block_height": node.height,
        "block_hash": display_hex(node.tip.hash),
        "block_time": node.tip.time,
    }
    outspends = get(f"/tx/{spent}/outspends")
    assert (outspends[0]["txid"], outspends[0]["vin"], outspends[0]["status"]["confirmed"]) == (transaction.id, 0, True)
    assert get(f"/tx/{transaction.id}/hex") == transaction.raw.hex()
    assert get(f"/tx/{transaction.id}/raw") == transaction.raw


def test_a_merkle_proof_leads_to_the_root(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], get: Callable[[str], Any]
) -> None:
    for _ in range(4):
        node.send(key.sweep(coin(), 500))
        node.send(key.sweep(coin(), 500))
        block = node.mine()[0].block
        for transaction in block.transactions:
            proof = get(f"/tx/{transaction.id}/merkle-proof")
            root = transaction.txid
            for level, sibling in enumerate(proof["merkle"]):
                pair = (bytes.fromhex(sibling)[::-1], root) if proof["pos"] >> level & 1 else (
                    root, bytes.fromhex(sibling)[::-1])  # fmt: skip
                root = hash256(b"".join(pair))
            assert root == block.header.merkle_root == merkle_root([t.txid for t in block.transactions])


def test_scripts(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any], get: Callable[[str], Any]
) -> None:
    mine = coin(50_000)
    kept = coin(7_000)
    node.send(key.sweep(mine, 1_000))
    node.mine()
    pending = key.sweep(kept, 300)
    node.send(pending)
    named = f"/address/{script_to_address(key.script)}"
    hashed = f"/scripthash/{script_hash(key.script).hex()}"
    for base in (named, hashed):
        stats = get(base)
        assert stats["chain_stats"] == {
            "tx_count": 3,
            "funded_txo_count": 3,
            "funded_txo_sum": 106_000,
            "spent_txo_count": 1,
            "spent_txo_sum": 50_000,
        }
        assert stats["mempool_stats"]["funded_txo_sum"] == 6_700
        assert stats["mempool_stats"]["spent_txo_sum"] == 7_000
        unspent = get(f"{base}/utxo")
        assert sorted((u["value"], u["status"]["confirmed"]) for u in unspent) == [(6_700, False), (49_000, True)]
        assert [t["txid"] for t in get(f"{base}/txs/mempool")] == [pending.id]
        everything = [t["txid"] for t in get(f"{base}/txs")]
        confirmed = [t["txid"] for t in get(f"{base}/txs/chain")]
        assert everything == [pending.id, *confirmed]
        assert len(confirmed) == 3
        assert [t["txid"] for t in get(f"{base}/txs/chain/{confirmed[0]}")] == confirmed[1:]


@BY_DEFAULT
def test_pages_of_history_meet(node: EmbeddedNode, get: Callable[[str], Any]) -> None:
    base = f"/scripthash/{script_hash(node.faucet.script).hex()}/txs/chain"
    seen: list[str] = []
    page = get(base)
    while page:
        assert len(page) <= 25
        seen += [t["txid"] for t in page]
        page = get(f"{base}/{seen[-1]}")
    assert seen == [node.chain.active[h].block.transactions[0].id for h in range(150, 0, -1)]


def test_refusals_are_worded_as_core_does(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], post: Callable[..., Any]
) -> None:
    dust = key.sweep(coin(1_000), 800)
    text = 'sendrawtransaction RPC error: {"code":-26,"message":"dust, tx with dust output must be 0-fee"}'
    assert post("/tx", dust.raw.hex().encode()) == (400, text)
    assert post("/tx", b"no hex")[0] == 400
    assert post("/txs/package", b"{}")[0] == 400
    status, text = post("/txs/package", json.dumps([dust.raw.hex()] * 30).encode())
    assert (status, text.startswith("submitpackage RPC error:")) == (400, True)


def test_a_package(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], output: Callable[..., Any], post: Callable[..., Any]
) -> None:
    node.set_fees(min_relay=1_000)
    parent = key.sweep(coin(), 20)
    child = key.sweep(output(parent), 2_000)
    assert post("/tx", parent.raw.hex().encode())[0] == 400
    status, text = post("/txs/package", json.dumps([parent.raw.hex(), child.raw.hex()]).encode())
    assert (status, json.loads(text)["package_msg"]) == (200, "success")
    assert {e.txid for e in node.mempool} == {parent.txid, child.txid}


def test_the_faucet_pays(node: EmbeddedNode, key: Any, post: Callable[..., Any]) -> None:
    request = {"address": script_to_address(key.script), "amount_sat": 12_345}
    status, text = post("/faucet", json.dumps(request).encode())
    paid = json.loads(text)
    transaction = node.mine()[0].block.transactions[1]
    assert (status, paid) == (200, {"txid": transaction.id, "vout": 0})
    assert (transaction.outputs[0].value, transaction.outputs[0].script) == (12_345, key.script)
    for wrong in ({}, {"address": "x"}, {**request, "amount_sat": "1"}, {**request, "amount_sat": 1.5}, [1]):
        assert post("/faucet", json.dumps(wrong).encode())[0] == 400


def test_fee_estimates(node: EmbeddedNode, get: Callable[[str], Any]) -> None:
    assert get("/fee-estimates") == {}
    node.set_estimates({3: 5_000})
    assert get("/fee-estimates")["6"] == 5.0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tx/" + "ff" * 32, 404),
        ("/tx/xyz", 400),
        ("/tx/" + "ff" * 32 + "/outspends", 404),
        ("/block/" + "ff" * 32, 404),
        ("/block/zz", 400),
        ("/block-height/-1", 400),
        ("/address/bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 400),
        ("/address/1BoatSLRHtKNngkdXEeobR76b53LETtpyT/utxo", 400),
        ("/scripthash/00", 400),
        ("/nowhere", 404),
        ("/faucet", 405),
    ],
)
def test_what_cannot_be_found_or_read(unchanged_node: EmbeddedNode, path: str, status: int) -> None:
    context = Context(unchanged_node, stop=lambda: None, uptime_seconds=lambda: 0)
    assert answer(context, "GET", path, b"").status == status


def test_no_two_routes_share_an_address() -> None:
    assert len({(r.method, r.pattern.pattern) for r in ROUTES}) == len(ROUTES)
