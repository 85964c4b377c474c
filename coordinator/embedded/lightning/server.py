"""The process: one REST server a node, each on its own port, the control server, and the heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from coordinator.embedded.lightning import rest_invoices, rest_node, rest_payments
from coordinator.embedded.lightning.chain import ChainAway, ChainFollower
from coordinator.embedded.lightning.control import Control
from coordinator.embedded.lightning.http import Gateway
from coordinator.embedded.lightning.macaroon import COORDINATOR_PERMISSIONS
from coordinator.embedded.lightning.model import NodeState
from coordinator.embedded.lightning.network import COORDINATOR, ROUTER, Network

HOST: Final = "127.0.0.1"
HEARTBEAT_SECONDS: Final = 0.2
PATIENCE: Final = 25
"""Heartbeats without an answer of the Bitcoin node after which the nodes call themselves out of sync."""
_ENDPOINTS: Final = rest_node.ENDPOINTS + rest_invoices.ENDPOINTS + rest_payments.ENDPOINTS


class _Server(uvicorn.Server):
    """One of several servers in a process: signals belong to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell who waits for it."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers alone."""
        yield


class LightningService:
    """The network behind its servers. `chain` is None where the control server sets the height."""

    def __init__(self, network: Network, chain: ChainFollower | None, data_dir: Path) -> None:
        self._network = network
        self._chain = chain
        self._data_dir = data_dir
        self._servers: dict[str, tuple[_Server, asyncio.Task[None], int]] = {}
        self._missed = PATIENCE if chain is not None else 0

    async def start(self, port: int, control_port: int, capacity_sat: int) -> dict[str, Any]:
        """Serve, follow the chain, and open the first channel; what the ready line says."""
        for alias in (COORDINATOR, ROUTER):
            if self._network.state.nodes.peek(alias) is None:
                self._network.add_node(alias)
        url = await self.serve_node(COORDINATOR, port)
        await self._first_height()
        if not self._network.state.channels_of(COORDINATOR):
            self._network.open_channel(COORDINATOR, ROUTER, capacity_sat, capacity_sat // 2)
        for node in list(self._network.state.nodes.values()):
            await self.serve_node(node.alias)
        control = Control(self._network, self.serve_node, follows_chain=self._chain is not None)
        control_url = await self._serve("/control", control, _listen(control_port))
        return {
            "service": "lightning",
            "url": url,
            "control": control_url,
            "macaroon_file": str(self._write_macaroon()),
            "public_key": self._network.node(COORDINATOR).public_key.hex(),
            "network": "regtest",
        }

    async def _first_height(self) -> None:
        while True:
            if await self._beat():
                return
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def run(self) -> None:
        """Keep the clocks going, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._beat()

    async def close(self) -> None:
        """Cut all connections and close the files."""
        for server, _, _ in self._servers.values():
            server.should_exit = True
            for connection in list(server.server_state.connections):
                if connection.transport is not None:
                    connection.transport.close()
        await asyncio.gather(*(task for _, task, _ in self._servers.values()))
        if self._chain is not None:
            await self._chain.close()
        self._network.close()

    def node_state(self, alias: str) -> NodeState:
        """How far a node's start is, or what it was told to say."""
        forced = self._network.node(alias).forced_state
        if forced is not None:
            return forced
        return NodeState.SERVER_ACTIVE if self._missed < PATIENCE else NodeState.RPC_ACTIVE

    async def serve_node(self, alias: str, port: int = 0) -> str:
        """Start a node's REST server unless it runs; its address. Without a port it is the one it had before.

        Raises OSError when the port asked for is taken.
        """
        if alias in self._servers:
            return f"http://{HOST}:{self._servers[alias][2]}"
        listener = _listen(port) if port else _listen_again(self._network.node(alias).port)
        url = await self._serve(alias, Gateway(self._network, alias, _ENDPOINTS, self.node_state), listener)
        self._network.set_port(alias, self._servers[alias][2])
        return url

    async def _serve(self, name: str, application: Any, listener: socket.socket) -> str:
        bound: int = listener.getsockname()[1]
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]), name=f"server of {name}")
        self._servers[name] = (server, task, bound)
        await server.listening.wait()
        return f"http://{HOST}:{bound}"

    async def _beat(self) -> bool:
        """One look at the chain and the clock; True when the height is known."""
        if self._chain is not None:
            try:
                await self._chain.follow()
            except ChainAway:
                self._missed += 1
            else:
                self._missed = 0
        self._network.tick()
        return self._missed == 0

    def _write_macaroon(self) -> Path:
        """The least macaroon that the coordinator needs, binary as LND's own files."""
        path = self._data_dir / "coordinator.macaroon"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self._network.bakery(COORDINATOR).bake(COORDINATOR_PERMISSIONS))
        return path


def _listen(port: int) -> socket.socket:
    # named protocol: asyncio switches TCP_NODELAY on only where it sees one, and Nagle costs 40 ms an answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _listen_again(port: int) -> socket.socket:
    """On the port of last time or, when another process has it now, on a free one."""
    try:
        return _listen(port)
    except OSError:
        return _listen(0)
