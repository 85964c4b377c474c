"""The nodes behind the adapters, and what only their owners can do: embedded through Core's RPC and through Esplora,
and bitcoind through Core's RPC."""

import asyncio
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from coordinator.adapters.bitcoin import CoreNode, EsploraNode
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.ports.bitcoin import Chain, Network
from coordinator.views.address import taproot_address
from coordinator_core.secp256k1 import SecretKey, schnorr_sign
from coordinator_core.secret import Secret
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
from tools.regtest import Rig
from tools.regtest.bitcoind import PASSWORD, USER

_runs = itertools.count(1)


class Key:
    """A taproot key that tests are paid to and spend from."""

    def __init__(self, seed: str) -> None:
        self._secret = SecretKey.from_bytes(hashlib.sha256(seed.encode()).digest())
        self.script = pay_to_taproot(self._secret.x_only)

    def spend(
        self,
        coins: Sequence[tuple[OutPoint, TxOut]],
        *values: int | TxOut,
        script: bytes | None = None,
        sequence: int = SEQUENCE_REPLACEABLE,
        lock_time: int = 0,
        version: int = 2,
    ) -> Transaction:
        """A signed transaction of outputs to ourselves (or to `script`), or of outputs as they are given."""
        inputs = tuple(TxIn(outpoint, sequence) for outpoint, _ in coins)
        own = script or self.script
        outputs = tuple(value if isinstance(value, TxOut) else TxOut(Sats(value), own) for value in values)
        unsigned = Transaction(inputs, outputs, lock_time, version)
        signed = unsigned
        for index in range(len(coins)):
            message = taproot_sighash(unsigned, index, [output for _, output in coins])
            secret = self._secret.with_even_y()
            signed = signed.with_witness(index, (schnorr_sign(message, secret),))
        return signed


class Owner(Protocol):
    """What the owner of a node does beside the port."""

    async def mine(self, count: int) -> list[str]: ...

    async def pay(self, address: str, value: int) -> str:
        """A payment that waits in the mempool; its txid."""
        ...

    async def invalidate(self, block_hash: str) -> None:
        """Take a block, and all after it, out of the chain."""
        ...

    async def estimate(self, sat_per_vbyte: int) -> None:
        """Let the node estimate this rate, about."""
        ...

    async def raise_floor(self, sat_per_vbyte: int) -> None:
        """Let the mempool turn away what pays less."""
        ...

    async def restore(self) -> None:
        """As the node was before."""
        ...


class EmbeddedOwner:
    """Methods that the embedded node has and Core has not."""

    def __init__(self, rpc: CoreRpc) -> None:
        self._rpc = rpc

    async def mine(self, count: int) -> list[str]:
        return await self._rpc.call("mine", count, kind=list[str])

    async def pay(self, address: str, value: int) -> str:
        return await self._rpc.call("faucet", address, value, kind=str)

    async def invalidate(self, block_hash: str) -> None:
        await self._rpc.call("invalidateblock", block_hash, kind=object)

    async def estimate(self, sat_per_vbyte: int) -> None:
        await self._rpc.call("setfeeestimates", {"1": sat_per_vbyte * 1_000}, kind=object)

    async def raise_floor(self, sat_per_vbyte: int) -> None:
        await self._rpc.call("setmempoolminimum", sat_per_vbyte * 1_000, kind=object)

    async def restore(self) -> None:
        await self._rpc.call("setmempoolminimum", 0, kind=object)
        await self._rpc.call("setfeeestimates", {"1": 2_000}, kind=object)


class RealOwner:
    """The rig around bitcoind."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._raised = False

    async def mine(self, count: int) -> list[str]:
        return await asyncio.to_thread(self._rig.faucet.mine, count)

    async def pay(self, address: str, value: int) -> str:
        return await asyncio.to_thread(self._rig.faucet.pay, (address, value))

    async def invalidate(self, block_hash: str) -> None:
        await asyncio.to_thread(self._rig.invalidate, block_hash)

    async def estimate(self, sat_per_vbyte: int) -> None:
        await asyncio.to_thread(self._rig.teach_fees, sat_per_vbyte)

    async def raise_floor(self, sat_per_vbyte: int) -> None:
        self._raised = True
        await asyncio.to_thread(self._rig.raise_floor, sat_per_vbyte)

    async def restore(self) -> None:
        if self._raised:
            await asyncio.to_thread(self._rig.lower_floor)


@dataclass
class World:
    """A chain under test on a shared node."""

    chain: Chain
    key: Key
    rpc: CoreRpc
    owner: Owner
    url: str
    credentials: tuple[str, str]
    restore: list[tuple[str, Any]] = field(default_factory=list)

    async def call(self, method: str, *params: Any) -> Any:
        return await self.rpc.call(method, *params, kind=object)

    async def mine(self, count: int = 1) -> list[str]:
        return await self.owner.mine(count)

    async def setting(self, method: str, value: Any, default: Any) -> None:
        """A setting of the embedded node, undone after the test."""
        self.restore.append((method, default))
        await self.call(method, value)

    async def coin(self, value: int = 100_000, *, confirmed: bool = True) -> tuple[OutPoint, TxOut]:
        """A coin of the key, paid by the faucet."""
        address = taproot_address(self.key.script, Network.REGTEST)
        txid = await self.owner.pay(address, value)
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


BITCOIND = pytest.param("bitcoind", marks=pytest.mark.regtest)


@pytest.fixture(params=["core", "esplora", BITCOIND])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The embedded node through each of the two adapters, or the real one."""
    async with AsyncExitStack() as stack:
        if request.param == "bitcoind":
            world = await real_world(request.getfixturevalue("real_chain"), stack)
        else:
            world = await embedded_world(request.getfixturevalue("embedded_node"), request.param, stack)
        yield world
        await world.owner.restore()


@pytest.fixture(params=["core", "esplora"])
async def embedded(request: pytest.FixtureRequest, embedded_node: dict[str, str]) -> AsyncIterator[World]:
    """The embedded node alone, for what only its switches can bring about."""
    async with AsyncExitStack() as stack:
        world = await embedded_world(embedded_node, request.param, stack)
        yield world
        for method, value in world.restore:
            await world.call(method, value)


async def embedded_world(ready: dict[str, str], adapter: str, stack: AsyncExitStack) -> World:
    rpc = CoreRpc(ready["url"], cookie_file=Path(ready["rpc_cookie_file"]))
    core = CoreNode(rpc, network=Network.REGTEST)
    esplora = EsploraNode(ready["esplora"], network=Network.REGTEST, relay_floor=FeeRate(25))
    stack.push_async_callback(core.close)
    stack.push_async_callback(esplora.close)
    return World(
        core if adapter == "core" else esplora, fresh_key(), rpc, EmbeddedOwner(rpc), ready["url"], cookie(ready)
    )


async def real_world(rig: Rig, stack: AsyncExitStack) -> World:
    rpc = CoreRpc(rig.chain.url, user=USER, password=Secret(PASSWORD.encode()))
    core = CoreNode(rpc, network=Network.REGTEST)
    stack.push_async_callback(core.close)
    return World(core, fresh_key(), rpc, RealOwner(rig), rig.chain.url, (USER, PASSWORD))


def cookie(ready: dict[str, str]) -> tuple[str, str]:
    user, _, password = Path(ready["rpc_cookie_file"]).read_text().partition(":")
    return user, password


def fresh_key() -> Key:
    return Key(f"contract/{next(_runs)}")


@pytest.fixture(params=["embedded", BITCOIND])
async def wrong_credentials(request: pytest.FixtureRequest) -> AsyncIterator[CoreNode]:
    url = (
        request.getfixturevalue("real_chain").chain.url
        if request.param == "bitcoind"
        else request.getfixturevalue("embedded_node")["url"]
    )
    node = CoreNode(CoreRpc(url, user="nobody"), network=Network.REGTEST)
    yield node
    await node.close()


@pytest.fixture
async def nobody() -> AsyncIterator[list[Chain]]:
    """Both adapters where nothing listens."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(refuse)
    core = CoreNode(CoreRpc("http://127.0.0.1:1", user="u", transport=transport), network=Network.REGTEST)
    esplora = EsploraNode("http://127.0.0.1:1", network=Network.REGTEST, transport=transport)
    yield [core, esplora]
    await core.close()
    await esplora.close()
