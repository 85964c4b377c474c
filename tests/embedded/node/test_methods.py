"""Methods that the recordings do not hold, and the embedded node's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.embedded.node.address import address_to_script, script_to_address
from coordinator.embedded.node.descriptor import descriptor_of, descriptor_to_script, with_checksum
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.rpc.dispatch import METHODS
from coordinator_core.errors import InvalidInput

SEGWIT_V0 = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""The BIP173 example key hash under the prefix of regtest."""

SERVED = """
    getblockchaininfo getblockcount getbestblockhash getblockhash getblock getblockheader getrawtransaction
    gettxout getrawmempool getmempoolentry getmempoolinfo sendrawtransaction testmempoolaccept submitpackage
    estimatesmartfee generatetoaddress generateblock invalidateblock reconsiderblock scantxoutset
    gettxspendingprevout getnetworkinfo uptime stop setmocktime setblockfloor setmempoolminimum setfeeestimates
    faucet mine submitblock validateaddress
"""


def test_the_methods_of_the_brief_are_served() -> None:
    expected = set(SERVED.split())
    assert expected <= METHODS.keys()
    assert all(m.description for m in METHODS.values())


def test_block_floor_and_faucet_over_rpc(node: EmbeddedNode, key: Any, call: Callable[..., Any]) -> None:
    address = script_to_address(key.script)
    txid = call("faucet", address, 5_000)
    assert call("setblockfloor", 90_000) is None
    call("mine", 1, 60)
    assert call("getrawmempool") == [txid]
    call("setblockfloor", 1)
    (block,) = call("mine")
    assert call("getrawtransaction", txid, True)["blockhash"] == block


def test_the_faucet_pays_more_than_the_floor(node: EmbeddedNode, key: Any, call: Callable[..., Any]) -> None:
    call("setblockfloor", 50_000)
    call("setmempoolminimum", 60_000)
    call("faucet", script_to_address(key.script), 5_000)
    call("mine")
    assert call("getrawmempool") == []


def test_time_over_rpc(node: EmbeddedNode, call: Callable[..., Any]) -> None:
    at = call("getnodetime")["time"] + 86_400
    assert call("setmocktime", at) is None
    call("mine", 1, 0)
    assert node.tip.time == at
    assert call("setmocktime", 10**15)["code"] == -8
    assert call("setmocktime", 0) is None
    assert call("getnodetime")["frozen"] is False


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("setblockfloor", [-1], -8),
        ("setblockfloor", [1.5], -3),
        ("setfeeestimates", [{"x": 1}], -3),
        ("setfeeestimates", [{"0": 1}], -8),
        ("faucet", ["nowhere", 1], -5),
        ("faucet", [SEGWIT_V0, 0], -8),
        ("faucet", [SEGWIT_V0, 2_000_000_000_000_000], -6),
        ("mine", [100_000], -8),
        ("generateblock", ["raw(51)", ["ff" * 32]], -5),
        ("generateblock", ["raw(51)", [], False], -8),
        ("invalidateblock", ["0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"], -8),
        ("testmempoolaccept", [["00"], 2], -8),
        ("sendrawtransaction", ["00"], -22),
        ("submitpackage", [[]], -8),
        ("testmempoolaccept", [["00"] * 26], -8),
        ("getrawtransaction", ["ff" * 32, "two"], -3),
        ("getrawtransaction", ["zz" * 32], -8),
        ("getrawtransaction", ["ff" * 32, 1, "ff" * 32], -5),
        ("scantxoutset", ["start", ["wpkh(02)"]], -5),
        ("scantxoutset", ["start"], -1),
        ("scantxoutset", ["begin", []], -8),
        ("gettxspendingprevout", [[{"txid": "ff" * 32}]], -3),
        ("getblock", ["ff" * 32, None], -5),
    ],
)
def test_refusals(call_unchanged: Callable[..., Any], method: str, params: list[Any], code: int) -> None:
    assert call_unchanged(method, *params)["code"] == code


def test_maximum_fee_and_burn_can_be_lifted(
    node: EmbeddedNode, key: Any, coin: Callable[..., Any], call: Callable[..., Any]
) -> None:
    dear = key.sweep(coin(10_000_000), 5_000_000)
    assert call("sendrawtransaction", dear.raw.hex())["code"] == -25
    assert call("submitpackage", [dear.raw.hex()])["package_msg"] == "transaction failed"
    assert call("sendrawtransaction", dear.raw.hex(), 0) == dear.id


def test_scanning_by_address_and_checksum(node: EmbeddedNode, key: Any, call: Callable[..., Any]) -> None:
    node.fund(key.script, 4_000)
    node.mine()
    address = script_to_address(key.script)
    for descriptor in (f"addr({address})", with_checksum(f"addr({address})"), descriptor_of(key.script)):
        assert call("scantxoutset", "start", [descriptor, {"desc": descriptor}])["total_amount"] == 0.00004
    assert call("scantxoutset", "start", [f"addr({address})#aaaaaaaa"])["code"] == -5


def test_blocks_by_descriptor(node: EmbeddedNode, call: Callable[..., Any]) -> None:
    made = call("generateblock", "raw(51)", [])["hash"]
    assert call("getblock", made, 2)["tx"][0]["vout"][0]["scriptPubKey"]["hex"] == "51"


def test_sequence_of_the_mempool(node: EmbeddedNode, key: Any, call: Callable[..., Any]) -> None:
    before = call("getrawmempool", False, True)["mempool_sequence"]
    call("faucet", script_to_address(key.script), 900)
    assert call("getrawmempool", False, True)["mempool_sequence"] == before + 1


def test_addresses() -> None:
    assert address_to_script(SEGWIT_V0).hex() == "0014751e76e8199196d454941c45d1b3a323f1433bd6"
    hashed = "11" * 20
    witness = ["0014" + hashed, "0020" + "22" * 32, "5120" + "33" * 32, "51024e73"]
    for script in (*witness, f"76a914{hashed}88ac", f"a914{hashed}87"):
        address = script_to_address(bytes.fromhex(script))
        assert address is not None
        assert address_to_script(address).hex() == script
    assert script_to_address(bytes.fromhex("51024e73")) == "bcrt1pfeesnyr2tx"
    assert script_to_address(b"\x6a\x01\x00") is None


@pytest.mark.parametrize(
    "wrong",
    [
        "", "bcrt1", SEGWIT_V0[:-1] + "q", SEGWIT_V0[:10] + SEGWIT_V0[10:].upper(), "x" * 100, "é", None, 5,
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRf",
    ],
)  # fmt: skip
def test_wrong_addresses(wrong: object) -> None:
    with pytest.raises(InvalidInput):
        address_to_script(wrong)


def test_descriptor_checksums() -> None:
    # The example of BIP380.
    assert with_checksum("raw(deadbeef)") == "raw(deadbeef)#89f8spxm"
    assert descriptor_to_script("raw(deadbeef)#89f8spxm") == bytes.fromhex("deadbeef")
    for wrong in ("raw(deadbeef)#89f8spxj", "raw(deadbee)", "raw(dead", "tr(00)", "raw(Üx)#aaaaaaaa", 7):
        with pytest.raises(InvalidInput):
            descriptor_to_script(wrong)
