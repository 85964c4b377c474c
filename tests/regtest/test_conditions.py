"""What an operator may have set up wrongly, on the real daemons: one clear sentence each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import stamina

from coordinator.adapters.bitcoin.condition import CoreExamination
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.adapters.lightning import LndNode
from coordinator.adapters.lightning.condition import LndExamination
from coordinator.ports.bitcoin import Network
from coordinator.ports.condition import Condition
from coordinator_core.secret import Secret
from tests.regtest.wallets import make_wallet, unlock
from tools.daemons.locate import Daemons
from tools.regtest import Lnd, Rig
from tools.regtest.bitcoind import PASSWORD, USER
from tools.regtest.daemon import START_SECONDS, until


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


async def examine(node: Lnd, *, macaroon: Path | None = None, certificate: Path | None = None) -> Condition:
    asked = client(node, macaroon or node.admin_macaroon, certificate or node.certificate)
    try:
        return await LndExamination(asked, "regtest").condition()
    finally:
        await asked.close()


def client(node: Lnd, macaroon: Path, certificate: Path) -> LndNode:
    return LndNode(node.url, Secret(macaroon.read_bytes()), certificate=certificate)


async def eventually(ask: Callable[[], Awaitable[Condition]], words: str) -> Condition:
    """The condition once it says so: a daemon passes through several while it starts."""
    found = None
    try:
        async with asyncio.timeout(START_SECONDS):
            while words not in (found := await ask()).problem:
                pass
    except TimeoutError:
        pytest.fail(f"the last condition was {found}")
    return found


async def test_lnd_as_it_has_to_be(real_rig: Rig) -> None:
    found = await examine(real_rig["coordinator"])
    assert (found.problem, found.note, found.is_ready) == ("", "", True)


async def test_another_nodes_macaroon(real_rig: Rig) -> None:
    found = await examine(real_rig["coordinator"], macaroon=real_rig["alice"].admin_macaroon)
    assert found.problem.startswith("the macaroon is not of this node: bake one with")
    assert not found.answers


async def test_another_certificate(real_rig: Rig) -> None:
    found = await examine(real_rig["coordinator"], certificate=real_rig["alice"].certificate)
    assert found.problem.startswith("its TLS certificate is not the expected one: ")
    assert found.problem.endswith("copy the node's tls.cert again (lightning.certificate_file)")
    assert not found.answers


async def test_a_wallet_that_is_not_there_then_locked_then_open(real_rig: Rig) -> None:
    node = real_rig.node("locked")
    node.options.remove("--noseedbackup")
    macaroon = real_rig["alice"].admin_macaroon
    try:
        node.launch()
        until(node.certificate.exists, "its certificate")
        found = await eventually(lambda: examine(node, macaroon=macaroon), "has no wallet")
        assert found.problem == "the node has no wallet: make one (lncli create)"
        make_wallet(node)
        node.wait_ready()
        node.stop()
        node.launch()
        found = await eventually(lambda: examine(node), "locked")
        assert (found.problem, found.answers) == ("the wallet is locked: unlock it (lncli unlock)", False)
        unlock(node)
        node.wait_ready()
        assert (await examine(node)).is_ready
    finally:
        node.stop()


async def test_a_node_without_a_fresh_block_is_not_in_step(real_daemons: Daemons, tmp_path: Path) -> None:
    rig = Rig(real_daemons, tmp_path, channels=())
    node = rig.node("early")
    try:
        rig.chain.start()
        node.launch()
        until(lambda: node.admin_macaroon.exists() and node.admin_macaroon.read_bytes(), "its macaroon")
        found = await eventually(lambda: examine(node), "not in step")
        assert found.problem.startswith("LND is not in step with the chain, it is at block 0")
        assert found.answers
        assert not found.is_ready
    finally:
        node.stop()
        rig.close()


async def test_bitcoind(real_chain: Rig) -> None:
    rpc = CoreRpc(real_chain.chain.url, user=USER, password=Secret(PASSWORD.encode()))
    assert (await CoreExamination(rpc, Network.REGTEST).condition()).problem == ""
    found = await CoreExamination(rpc, Network.SIGNET).condition()
    assert found.problem == "the node follows regtest, the settings say signet: point both to one network"
    await rpc.close()
    stranger = CoreRpc(real_chain.chain.url, user="nobody")
    found = await CoreExamination(stranger, Network.REGTEST).condition()
    assert found.problem == "the node refused the RPC credentials"
    await stranger.close()


async def test_bitcoind_without_its_index(real_daemons: Daemons, tmp_path: Path) -> None:
    rig = Rig(real_daemons, tmp_path, channels=())
    rig.chain.options = ["-txindex=0"]
    rpc = CoreRpc(rig.chain.url, user=USER, password=Secret(PASSWORD.encode()))
    try:
        rig.chain.start()
        found = await CoreExamination(rpc, Network.REGTEST).condition()
        assert found.problem == "the node keeps no index of transactions: set txindex=1 and restart it"
    finally:
        await rpc.close()
        rig.close()
