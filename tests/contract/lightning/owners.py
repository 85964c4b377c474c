"""What only the owner of a Lightning network can do: of the embedded one by its control server, of the real one by
the rig."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from coordinator.adapters.lightning import LndNode
from coordinator_core.secret import Secret
from tests.contract.lightning.doors import Door
from tools.regtest import Channel, Lnd, Rig

OWN = "the owner's"


class Owner(Protocol):
    """The same deeds on both networks."""

    foreign: bytes
    """A macaroon of another node."""

    def node(self, alias: str, macaroon: Secret | None = None) -> LndNode:
        """A node behind the port, as its owner or with another macaroon."""
        ...

    async def player(self, alias: str) -> LndNode:
        """A node with a channel to the router."""
        ...

    async def splinter(self, alias: str, capacity: int) -> LndNode:
        """A node with two equal channels to the router, full on its own side, in satoshi."""
        ...

    def door(self, alias: str, macaroon: str | None = OWN) -> Door:
        """A node's REST interface, as its owner or with another macaroon in hex."""
        ...

    async def bake_for(self, alias: str, permissions: list[tuple[str, str]]) -> Secret:
        """A macaroon of a node for these entities and actions."""
        ...

    async def height(self, height: int) -> None:
        """Let the chain grow to a height."""
        ...

    async def outlive(self, seconds: int) -> None:
        """Let invoices of so many seconds expire, now or soon."""
        ...

    def cut(self, alias: str) -> Any:
        """While this is open nothing reaches a node; an asynchronous context manager."""
        ...

    def stopped(self) -> Any:
        """While this is open our node does not run; an asynchronous context manager."""
        ...


class EmbeddedNetwork:
    """The process of the embedded network, which can be started again on the same ports."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, str] = {}

    def start(self) -> None:
        again = [
            argument
            for name, key in (("--port", "url"), ("--control-port", "control"))
            if key in self.ready
            for argument in (name, self.ready[key].rsplit(":", 1)[1])
        ]
        command = ["-m", "coordinator.embedded.lightning", "--data-dir", str(self._directory), "--exit-with-parent"]
        self._process = subprocess.Popen([sys.executable, *command, *again], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.ready = json.loads(self._process.stdout.readline())

    def macaroon(self) -> Secret:
        """What the network baked for our node: the least that the port needs."""
        return Secret(Path(self.ready["macaroon_file"]).read_bytes())

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        with self._process:
            assert self._process.wait(10) == 0


class EmbeddedOwner:
    """See Owner."""

    foreign: bytes

    def __init__(self, network: EmbeddedNetwork) -> None:
        self._network = network
        self._control = httpx.AsyncClient(base_url=network.ready["control"], trust_env=False)
        self._nodes: dict[str, Any] = {}

    async def open(self) -> None:
        """Learn the addresses of the nodes that are there."""
        for made in (await self._control.get("/control/nodes")).json()["nodes"]:
            self._nodes[made["alias"]] = made
        self.foreign = bytes.fromhex(self._nodes["router"]["macaroon_hex"])

    async def close(self) -> None:
        await self._control.aclose()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self._control.post(f"/control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def node(self, alias: str, macaroon: Secret | None = None) -> LndNode:
        made = self._nodes[alias]
        return LndNode(made["url"], macaroon or Secret(bytes.fromhex(made["macaroon_hex"])))

    async def player(self, alias: str) -> LndNode:
        self._nodes[alias] = await self.post("nodes", alias=alias)
        return self.node(alias)

    async def splinter(self, alias: str, capacity: int) -> LndNode:
        self._nodes[alias] = await self.post("nodes", alias=alias, capacity_sat=capacity, pushed_sat=0)
        await self.post("channels", opener=alias, peer="router", capacity_sat=capacity, pushed_sat=0)
        return self.node(alias)

    def door(self, alias: str, macaroon: str | None = OWN) -> Door:
        made = self._nodes[alias]
        return Door(made["url"], made["macaroon_hex"] if macaroon == OWN else macaroon)

    async def bake_for(self, alias: str, permissions: list[tuple[str, str]]) -> Secret:
        made = self._nodes[alias]
        headers = {"Grpc-Metadata-macaroon": made["macaroon_hex"]}
        answer = await self._control.post(f"{made['url']}/v1/macaroon", json=baking(permissions), headers=headers)
        return Secret(bytes.fromhex(answer.json()["macaroon"]))

    async def height(self, height: int) -> None:
        await self.post("height", height=height)

    async def outlive(self, seconds: int) -> None:
        await self.post("clock", advance_seconds=seconds)

    @asynccontextmanager
    async def cut(self, alias: str) -> AsyncIterator[None]:
        await self.post("faults", node=alias, mode="offline")
        yield
        await self.post("faults", node=alias, mode="ok")

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        self._network.stop()
        yield
        # Not in a thread: Linux counts the end of the thread that started a process as the end of its parent.
        self._network.start()


class RealOwner:
    """See Owner. All tests share alice and bob: further nodes take seconds to be payable."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.foreign = rig["router"].admin_macaroon.read_bytes()

    def node(self, alias: str, macaroon: Secret | None = None) -> LndNode:
        return lnd_node(self._rig[alias], macaroon)

    async def bake(self) -> Secret:
        """What the coordinator runs with."""
        owner = self.node("coordinator")
        try:
            return await owner.bake_macaroon()
        finally:
            await owner.close()

    async def player(self, alias: str) -> LndNode:
        return self.node("alice" if alias.startswith("alice") else "bob")

    async def splinter(self, alias: str, capacity: int) -> LndNode:
        channels = [Channel(alias, "router", capacity, 0)] * 2
        await asyncio.to_thread(self._rig.add_node, alias, *channels)
        return self.node(alias)

    def door(self, alias: str, macaroon: str | None = OWN) -> Door:
        node = self._rig["alice" if alias.startswith("alice") else alias]
        own = node.admin_macaroon.read_bytes().hex()
        return Door(node.url, own if macaroon == OWN else macaroon, node.tls())

    async def bake_for(self, alias: str, permissions: list[tuple[str, str]]) -> Secret:
        made = await asyncio.to_thread(self._rig[alias].post, "/v1/macaroon", baking(permissions))
        return Secret(bytes.fromhex(made["macaroon"]))

    async def height(self, height: int) -> None:
        await asyncio.to_thread(self._rig.mine, height - self._rig.chain.height)

    async def outlive(self, seconds: int) -> None:
        """LND's invoices follow the wall clock: they expire while the test waits for it."""

    @asynccontextmanager
    async def cut(self, alias: str) -> AsyncIterator[None]:
        node = self._rig["alice"]
        await asyncio.to_thread(node.stop)
        yield
        await asyncio.to_thread(self._rig.rejoin, node)

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        node = self._rig["coordinator"]
        await asyncio.to_thread(node.stop)
        yield
        await asyncio.to_thread(self._rig.rejoin, node)


def baking(permissions: list[tuple[str, str]]) -> dict[str, Any]:
    """The body of a request to bake."""
    return {"permissions": [{"entity": entity, "action": action} for entity, action in permissions]}


def lnd_node(node: Lnd, macaroon: Secret | None = None) -> LndNode:
    """A node of the rig behind the port, its certificate pinned."""
    return LndNode(node.url, macaroon or Secret(node.admin_macaroon.read_bytes()), certificate=node.certificate)
