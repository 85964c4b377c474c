"""Core's JSON-RPC as it is, asked of both nodes: every answer looks as the recorded one, every refusal says the same.

What the client and the embedded node were written from is so compared with the bitcoind that is here.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.ports.bitcoin import BroadcastVerdict
from coordinator_core.transaction import OutPoint
from tests.contract.bitcoin.conftest import BITCOIND, World
from tests.support.shapes import differences, shape

pytestmark = pytest.mark.parametrize("world", ["core", BITCOIND], indirect=True)
RECORDED: dict[str, dict[str, Any]] = {
    exchange["name"]: exchange
    for exchange in map(
        json.loads, (Path(__file__).parents[2] / "vectors/bitcoind/exchanges.jsonl").read_text().splitlines()
    )
}
AS_RECORDED = [
    "getblockhash", "getblockhash_out_of_range", "getblockhash_out_of_range_v1", "getblockheader_unknown",
    "getblockheader_malformed", "getblock_unknown", "getrawtransaction_unknown", "getrawtransaction_unknown_v1",
    "gettxout_unknown", "getmempoolentry_unknown", "sendrawtransaction_garbage", "testmempoolaccept_garbage",
    "decoderawtransaction_garbage", "submitpackage_garbage", "estimatesmartfee_bad_target",
    "invalidateblock_unknown", "generatetoaddress_bad_address", "method_unknown", "method_unknown_v1",
    "method_unknown_no_version", "params_missing", "params_missing_v1", "params_wrong_type", "params_too_many",
    "params_named", "params_named_unknown", "notification", "request_method_no_string",
    "request_version_unknown", "request_params_no_list", "batch_empty", "json_bad", "json_no_object",
]  # fmt: skip
"""Requests that do not hang on a run: their answers are compared to the letter."""
USAGE = -1
OWN = {"getnetworkinfo": {"warnings", "networks", "localservicesnames"}, "getblockchaininfo": {"warnings"}}


class Door:
    """JSON-RPC without our client; `deviations` says where answers did not look as the recorded ones do."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.deviations: list[str] = []

    async def send(self, request: Any) -> tuple[int, Any]:
        answer = await self._client.post("/", content=request if isinstance(request, str) else json.dumps(request))
        return answer.status_code, json.loads(answer.content) if answer.content else ""

    async def ask(self, name: str, *params: Any) -> Any:
        """The result of a recorded call with these parameters, compared in its shape."""
        recorded = RECORDED[name]
        status, body = await self.send({**recorded["request"], "params": params})
        assert (status, "result" in body) == (recorded["status"], True), f"{name}: {body}"
        left_out = OWN.get(name, set())
        expected, found = (
            {key: value for key, value in one.items() if key not in left_out} if isinstance(one, dict) else one
            for one in (recorded["body"]["result"], body["result"])
        )
        shapes = [shape(one, numbers_in_text=False) for one in (expected, found)]
        self.deviations += [f"{name}: {difference}" for difference in differences(*shapes)]
        return body["result"]


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(base_url=world.url, auth=world.credentials, trust_env=False) as client:
        yield Door(client)


@pytest.mark.parametrize("name", AS_RECORDED)
async def test_the_same_request_the_same_answer(door: Door, name: str) -> None:
    recorded = RECORDED[name]
    status, body = await door.send(recorded["request"])
    assert (status, without_help(body)) == (recorded["status"], without_help(recorded["body"]))


def without_help(body: Any) -> Any:
    """An answer to wrong parameters is the method's whole help: of that the first line."""
    if not isinstance(body, dict) or (body.get("error") or {}).get("code") != USAGE:
        return body
    return body | {"error": {"code": USAGE, "message": body["error"]["message"].partition("\n")[0]}}


async def test_chain_and_mempool(world: World, door: Door) -> None:
    coin, output = await world.coin()
    await door.ask("getblockchaininfo")
    await door.ask("getnetworkinfo")
    await door.ask("getindexinfo")
    await door.ask("getblockcount")
    best = await door.ask("getbestblockhash")
    await door.ask("getblockheader", best)
    txid = coin.txid[::-1].hex()
    await door.ask("getrawtransaction_confirmed", txid, 1)
    await door.ask("gettxout_unspent", txid, coin.vout)
    await door.ask("scantxoutset", "start", [f"raw({output.script_pubkey.hex()})"])
    await world.mine()
    for level in (0, 1, 2, 3):
        await door.ask(f"getblock_{level}", best, level)
    spend = world.key.spend([(coin, output)], 99_000)
    assert (await world.chain.broadcast(spend.serialize())).verdict is BroadcastVerdict.ACCEPTED
    sent = spend.txid[::-1].hex()
    await door.ask("getmempoolinfo")
    await door.ask("getmempoolentry", sent)
    await door.ask("getrawmempool")
    await door.ask("getrawtransaction_mempool", sent)
    await door.ask("getrawtransaction_mempool_verbose", sent, 1)
    await door.ask("gettxout_mempool", sent, 0)
    assert await door.ask("gettxout_spent_by_mempool", txid, coin.vout) is None
    await world.mine()
    assert await door.ask("gettxout_spent", txid, coin.vout) is None
    assert door.deviations == []


async def test_packages(world: World, door: Door) -> None:
    parent = world.key.spend([await world.coin()], 100_000, version=3)
    output = parent.outputs[0]
    child = world.key.spend([(OutPoint(parent.txid, 0), output)], 98_000, version=3)
    pair = [parent.serialize().hex(), child.serialize().hex()]
    names = ("submitpackage_ok", "submitpackage_again", "submitpackage_confirmed")
    first, again = [await door.ask(name, pair) for name in names[:2]]
    await world.mine()
    confirmed = await door.ask(names[2], pair)
    verdicts = [result["package_msg"] for result in (first, again, confirmed)]
    assert verdicts == [RECORDED[name]["body"]["result"]["package_msg"] for name in names]
    assert door.deviations == []


async def test_without_credentials_there_is_no_word(world: World) -> None:
    for credentials in (None, ("rig", "wrong")):
        async with httpx.AsyncClient(base_url=world.url, auth=credentials, trust_env=False) as client:
            answer = await client.post("/", json=RECORDED["auth_missing"]["request"])
        assert (answer.status_code, answer.content) == (401, b"")
