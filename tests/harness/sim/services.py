"""The embedded services as applications of one simulated machine: their own code, without their processes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from coordinator.embedded.keymeld.gateway import services as keymeld_services
from coordinator.embedded.keymeld.gateway.gateway import Gateway, wall_clock
from coordinator.embedded.keymeld.http.app import control_app, gateway_app
from coordinator.embedded.lightning import server as lightning_server
from coordinator.embedded.lightning.chain import ChainFollower
from coordinator.embedded.lightning.network import Network as LightningNetwork
from coordinator.embedded.lightning.server import LightningService
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator.embedded.node.server import Cookie, NodeServers
from coordinator.embedded.oracle.application import build_application
from coordinator.embedded.oracle.authorization import Authorizer
from coordinator.embedded.oracle.routes import Served
from tests.e2e.mock_oracle import MockOracle
from tests.e2e.services import DAY, DAYS_TO_SPEND
from tests.harness.sim.links import Link
from tests.harness.sim.network import Network

BLOCK_SECONDS: Final = 60
FEE_ESTIMATE: Final = 2_000
"""Satoshi per 1,000 vbytes."""
CAPACITY: Final = 100_000_000
HEARTBEAT_SECONDS: Final = 1.0
"""Between two looks of the Lightning nodes at the chain: five times the pause of the real process."""
PATIENCE: Final = 5
"""Looks in vain before the nodes call themselves out of sync: as many seconds as in the real process."""


@dataclass(slots=True)
class Running:
    """What a service says when it is ready, and the links by which it is reached."""

    ready: dict[str, Any]
    link: Link
    """The one that the coordinator and players know."""
    more: tuple[Link, ...] = ()
    """Further ones that an outage of the service cuts as well."""
    node: EmbeddedNode | None = None
    gateway: Gateway | None = None
    lightning: LightningNetwork | None = None
    urls: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def links(self) -> tuple[Link, ...]:
        """All that an outage cuts."""
        return (self.link, *self.more)


@asynccontextmanager
async def run_node(network: Network, directory: Path) -> AsyncGenerator[Running]:
    """The node. `url` is the world's own access, which no outage cuts."""
    start = int(time.time()) - DAYS_TO_SPEND * DAY
    with EmbeddedNode(directory, NodeOptions(start_time=start, block_interval_seconds=BLOCK_SECONDS)) as node:
        if node.settings.estimates is None:
            node.set_estimates({1: FEE_ESTIMATE})
        cookie = Cookie(directory / ".cookie")
        servers = NodeServers(node, cookie)
        own, _ = network.serve("node", servers.rpc_app)
        esplora, _ = network.serve("esplora", servers.esplora_app)
        known, link = network.serve("node", servers.rpc_app)
        followed, follower = network.serve("node", servers.rpc_app)
        ready = {"url": own, "esplora": esplora, "rpc_cookie_file": str(cookie.path)}
        yield Running(ready, link, (follower,), node=node, urls={"known": known, "followed": followed})


class _Lightning(LightningService):
    """Serves its nodes in the simulated network instead of on sockets."""

    def __init__(self, network: LightningNetwork, chain: ChainFollower, data_dir: Path, places: Network) -> None:
        super().__init__(network, chain, data_dir)
        self._places = places
        self._urls: dict[str, str] = {}
        self.link = Link("lightning")

    async def serve_node(self, alias: str, port: int = 0) -> str:
        """See LightningService."""
        if alias not in self._urls:
            gateway = lightning_server.Gateway(self._network, alias, lightning_server._ENDPOINTS, self.node_state)
            self._urls[alias], link = self._places.serve("lightning", gateway)
            if alias == lightning_server.COORDINATOR:
                self.link = link
        return self._urls[alias]

    async def _serve(self, name: str, application: Any, listener: socket.socket) -> str:
        listener.close()
        return self._places.serve(name, application)[0]


@asynccontextmanager
async def run_lightning(network: Network, directory: Path, node: Running) -> AsyncGenerator[Running]:
    """The Lightning network; its nodes follow the chain by a link of their own."""
    lightning = LightningNetwork(directory)
    follower = ChainFollower(node.urls["followed"], Path(node.ready["rpc_cookie_file"]), lightning)
    service = _Lightning(lightning, follower, directory, network)
    with (
        mock.patch.object(lightning_server, "HEARTBEAT_SECONDS", HEARTBEAT_SECONDS),
        mock.patch.object(lightning_server, "PATIENCE", PATIENCE),
    ):
        ready = await service.start(0, 0, CAPACITY)
        beating = asyncio.create_task(service.run(), name="Lightning's heartbeat")
        try:
            yield Running(ready, service.link, lightning=lightning)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await service.close()


class LoopJobs:
    """Stands for the enclaves' threads: work runs in the loop, delays are virtual."""

    def __init__(self) -> None:
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    def submit(self, work: Callable[[], None], delay_seconds: float = 0.0) -> None:
        """See gateway.jobs.Jobs."""
        if not self._closed:
            self._timers.add(asyncio.get_running_loop().call_later(max(0.0, delay_seconds), self._run, work))

    def _run(self, work: Callable[[], None]) -> None:
        if not self._closed:
            work()

    def close(self) -> None:
        """See gateway.jobs.Jobs."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()


@asynccontextmanager
async def run_keymeld(network: Network, directory: Path) -> AsyncGenerator[Running]:
    """The gateway with two enclaves."""
    with mock.patch.object(keymeld_services, "Jobs", LoopJobs):
        gateway = Gateway(directory, 2, wall_clock)
    try:
        url, link = network.serve("keymeld", gateway_app(gateway))
        control, _ = network.serve("keymeld control", control_app(gateway))
        yield Running({"url": url, "control": control}, link, gateway=gateway)
    finally:
        gateway.close()


class SimOracle(MockOracle):
    """Attests what the scenario says, within the simulated network."""

    def __init__(self, network: Network, now: Callable[[], float]) -> None:
        super().__init__("sim", now)
        self._network = network

    async def __aenter__(self) -> SimOracle:
        self.url, self.link = self._network.serve("oracle", self._answer)
        self._application = build_application(Served(self._oracle, Authorizer(self.url, self._allowed), self.faults))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._store.close()


@asynccontextmanager
async def run_services(network: Network, directory: Path, now: Callable[[], float]) -> AsyncGenerator[Services]:
    """Every service under a directory; `now` tells the oracle the chain's time."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(run_node(network, directory / "node"))
        lightning = await stack.enter_async_context(run_lightning(network, directory / "lightning", node))
        keymeld = await stack.enter_async_context(run_keymeld(network, directory / "keymeld"))
        oracle = await stack.enter_async_context(SimOracle(network, now))
        yield Services(node, lightning, keymeld, Running({"url": oracle.url}, oracle.link), oracle)


@dataclass(frozen=True, slots=True)
class Services:
    """The running services."""

    node: Running
    lightning: Running
    keymeld: Running
    oracle: Running
    mock_oracle: SimOracle

    def named(self, name: str) -> Running:
        """By name. Raises KeyError."""
        return {"node": self.node, "lightning": self.lightning, "keymeld": self.keymeld, "oracle": self.oracle}[name]
