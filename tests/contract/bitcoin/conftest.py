"""An embedded node behind both adapters, and what only its owner can do."""

import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.adapters.bitcoin import CoreNode, EsploraNode
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.ports.bitcoin import Chain, Network
from coordinator.views.address import taproot_address
from coordinator_core.secp256k1 import SecretKey, schnorr_sign
from coordinator_core.transaction import (
    SEQUENCE_REPLACEABLE,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    pay_to_taproot,
    taproot_sighash,
    txid_from_hex,
)
from coordinator_core.units import FeeRate, Sats

_runs = itertools.count(1)


class Key:
    """A taproot key that tests are paid to and spend from."""

    def __init__(self, seed: str) -> None:
        self._secret = SecretKey.from_bytes(hashlib.sha256(seed.encode()).digest())
        self.script = pay_to_taproot(self._secret.x_only)

    def spend(
        self,
        coins: Sequence[tuple[OutPoint, TxOut]],
        *values: int,
        script: bytes | None = None,
        sequence: int = SEQUENCE_REPLACEABLE,
        lock_time: int = 0,
        version: int = 2,
    ) -> Transaction:
        """A signed transaction of outputs to ourselves (or to `script`)."""
        inputs = tuple(TxIn(outpoint, sequence) for outpoint, _ in coins)
        outputs = tuple(TxOut(Sats(value), script or self.script) for value in values)
        unsigned = Transaction(inputs, outputs, lock_time, version)
        signed = unsigned
        for index in range(len(coins)):
            message = taproot_sighash(unsigned, index, [output for _, output in coins])
            secret = self._secret.with_even_y()
            signed = signed.with_witness(index, (schnorr_sign(message, secret),))
        return signed


@dataclass
class World:
    """A chain under test on a shared node."""

    chain: Chain
    key: Key
    rpc: CoreRpc
    restore: list[tuple[str, Any]] = field(default_factory=list)

    async def call(self, method: str, *params: Any) -> Any:
        return await self.rpc.call(method, *params, kind=object)

    async def mine(self, count: int = 1) -> list[str]:
        return await self.call("mine", count)

    async def setting(self, method: str, value: Any, default: Any) -> None:
        """A setting of the node, undone after the test."""
        self.restore.append((method, default))
        await self.call(method, value)

    async def coin(self, value: int = 100_000, *, confirmed: bool = True) -> tuple[OutPoint, TxOut]:
        """A coin of the key, paid by the faucet."""
        address = taproot_address(self.key.script, Network.REGTEST)
        txid = await self.call("faucet", address, value)
        raw = Transaction.from_hex(await self.call("getrawtransaction", txid, False))
        vout = next(n for n, output in enumerate(raw.outputs) if output.script_pubkey == self.key.script)
        if confirmed:
            await self.mine()
        return OutPoint(txid_from_hex(txid), vout), raw.outputs[vout]


@pytest.fixture(scope="module")
def embedded_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The ready line of a node that serves the whole module."""
    directory = tmp_path_factory.mktemp("node")
    arguments = ["--data-dir", str(directory), "--frozen", "--exit-with-parent"]
    process = subprocess.Popen([sys.executable, "-m", "coordinator.embedded.node", *arguments], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(15) == 0


@pytest.fixture(params=["core", "esplora"])
async def world(request: pytest.FixtureRequest, embedded_node: dict[str, str]) -> AsyncIterator[World]:
    """The same node through one of the two adapters."""
    rpc = CoreRpc(embedded_node["url"], cookie_file=Path(embedded_node["rpc_cookie_file"]))
    core, esplora = CoreNode(rpc), EsploraNode(embedded_node["esplora"], relay_floor=FeeRate(25))
    world = World(core if request.param == "core" else esplora, Key(f"contract/{next(_runs)}"), rpc)
    yield world
    for method, value in world.restore:
        await world.call(method, value)
    await core.close()
    await esplora.close()


@pytest.fixture
async def wrong_credentials(embedded_node: dict[str, str]) -> AsyncIterator[CoreNode]:
    node = CoreNode(CoreRpc(embedded_node["url"], user="nobody"))
    yield node
    await node.close()


@pytest.fixture
async def nobody() -> AsyncIterator[list[Chain]]:
    """Both adapters where nothing listens."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(refuse)
    core = CoreNode(CoreRpc("http://127.0.0.1:1", user="u", transport=transport))
    esplora = EsploraNode("http://127.0.0.1:1", transport=transport)
    yield [core, esplora]
    await core.close()
    await esplora.close()
