"""What an operator may have set up wrongly is one clear sentence each."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stamina

from coordinator.adapters.bitcoin import EsploraNode
from coordinator.adapters.bitcoin.condition import CoreExamination, EsploraExamination
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.ports.bitcoin import Network
from coordinator.ports.condition import Condition
from tests.unit.adapters.bitcoin.conftest import RpcTape

Hand = Callable[..., dict[str, Any]]
SOFTWARE = {"version": 319_900, "subversion": "/Satoshi:31.99.0/"}
CHAIN = {"chain": "regtest", "blocks": 120, "headers": 120, "initialblockdownload": False}
INDEX = {"txindex": {"synced": True, "best_block_height": 120}}


async def examine(
    by_hand: Hand, software: Any = None, chain: Any = None, index: Any = None, network: Network = Network.REGTEST
) -> Condition:
    answers = {
        "getnetworkinfo": SOFTWARE | (software or {}),
        "getblockchaininfo": CHAIN | (chain or {}),
        "getindexinfo": INDEX if index is None else index,
    }
    tape = RpcTape([by_hand(method, answer) for method, answer in answers.items()])
    rpc = CoreRpc("http://127.0.0.1:1", user="u", transport=httpx.MockTransport(tape.handle))
    try:
        return await CoreExamination(rpc, network).condition()
    finally:
        await rpc.close()


async def test_a_node_that_is_as_it_has_to_be(by_hand: Hand) -> None:
    found = await examine(by_hand)
    assert found == Condition("bitcoin", "Satoshi:31.99.0")
    assert found.is_ready


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"network": Network.SIGNET}, "the node follows regtest, the settings say signet"),
        ({"software": {"version": 270_100}}, "Bitcoin Core 27 is too old: 28"),
        ({"index": {}}, "set txindex=1"),
    ],
)
async def test_what_no_coordinator_starts_on(by_hand: Hand, given: dict[str, Any], words: str) -> None:
    found = await examine(by_hand, **given)
    assert words in found.problem
    assert (found.answers, found.unsuitable) == (False, True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"chain": {"headers": 121}}, "at block 120 of 121"),
        (
            {"chain": {"chain": "main", "initialblockdownload": True}, "network": Network.MAINNET},
            "the node is catching up",
        ),
        ({"index": {"txindex": {"synced": False, "best_block_height": 3}}}, "building its index"),
    ],
)
async def test_what_waiting_helps_against(by_hand: Hand, given: dict[str, Any], words: str) -> None:
    found = await examine(by_hand, **given)
    assert words in found.problem
    assert (found.answers, found.unsuitable) == (True, False)
    assert not found.is_ready


async def test_regtest_that_slept_is_not_being_downloaded(by_hand: Hand) -> None:
    assert (await examine(by_hand, chain={"initialblockdownload": True})).is_ready


async def test_another_version_than_the_tested_one_is_noted(by_hand: Hand) -> None:
    found = await examine(by_hand, software={"version": 290_000, "subversion": "/Satoshi:29.0.0/"})
    assert found.is_ready
    assert found.note == "Bitcoin Core 29 was not tested, 31.99 was"


async def test_wrong_credentials() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(401))
    rpc = CoreRpc("http://127.0.0.1:1", user="nobody", transport=transport)
    found = await CoreExamination(rpc, Network.REGTEST).condition()
    assert found == Condition("bitcoin", problem="the node refused the RPC credentials", answers=False, unsuitable=True)
    await rpc.close()


async def test_esplora() -> None:
    genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
    chain = EsploraNode(
        "http://127.0.0.1:1",
        network=Network.REGTEST,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text=genesis)),
    )
    assert (await EsploraExamination(chain, Network.REGTEST).condition()).is_ready
    found = await EsploraExamination(chain, Network.SIGNET).condition()
    assert (found.problem[:31], found.answers, found.unsuitable) == ("the node follows regtest, the s", False, True)
    await chain.close()


@pytest.mark.parametrize("source", ["core", "esplora"])
async def test_one_that_is_away_is_not_the_wrong_one(source: str) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(away)
    rpc = CoreRpc("http://127.0.0.1:1", user="u", transport=transport)
    esplora = EsploraNode("http://127.0.0.1:1", network=Network.REGTEST, transport=transport)
    core = CoreExamination(rpc, Network.REGTEST)
    examined = core if source == "core" else EsploraExamination(esplora, Network.REGTEST)
    with stamina.set_testing(True, attempts=1):
        found = await examined.condition()
    assert (found.problem, found.answers, found.unsuitable) == ("ConnectError", False, False)
    await rpc.close()
    await esplora.close()
