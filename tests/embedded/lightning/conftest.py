"""A network served in the test's own event loop, and clients that speak to it over loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.embedded.lightning import rest_invoices, rest_node, rest_payments
from coordinator.embedded.lightning.control import Control
from coordinator.embedded.lightning.events import payment_topic
from coordinator.embedded.lightning.http import Gateway
from coordinator.embedded.lightning.macaroon import ALL_PERMISSIONS
from coordinator.embedded.lightning.model import NodeState
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.server import LightningService
from coordinator.embedded.lightning.state import pair_key

MACAROON = "Grpc-Metadata-macaroon"
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loopback is plain HTTP: no client needs to load the machine's certificate authorities."""


class Stream:
    """A request whose lines are read as they come."""

    def __init__(self, client: httpx.AsyncClient, method: str, target: str, body: Any = None) -> None:
        self.lines: list[Any] = []
        self.response: httpx.Response | None = None
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._read(client, method, target, body))

    async def _read(self, client: httpx.AsyncClient, method: str, target: str, body: Any) -> None:
        try:
            async with client.stream(method, target, json=body) as response:
                self.response = response
                async for line in response.aiter_lines():
                    self.lines.append(json.loads(line))
                    self._news.set()
        finally:
            self._news.set()

    async def at_least(self, count: int) -> list[Any]:
        """The lines, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.lines) < count and not self.task.done():
                self._news.clear()
                await self._news.wait()
        assert len(self.lines) >= count
        return self.lines

    async def end(self) -> list[Any]:
        """All lines."""
        async with asyncio.timeout(10):
            await self.task
        return self.lines


class Rig:
    """The served network: `network` inside, `clients` outside, `control` beside."""

    def __init__(self, network: Network, service: LightningService, ready: dict[str, Any]) -> None:
        self.network, self.service, self.ready = network, service, ready
        self.control = httpx.AsyncClient(base_url=ready["control"], trust_env=False, verify=NO_AUTHORITIES)
        self.clients: dict[str, httpx.AsyncClient] = {}
        self._streams: list[Stream] = []

    async def client(self, alias: str) -> httpx.AsyncClient:
        """A client with all permissions on a node."""
        if alias not in self.clients:
            url = await self.service.serve_node(alias)
            macaroon = self.network.bakery(alias).bake(ALL_PERMISSIONS).hex()
            self.clients[alias] = httpx.AsyncClient(
                base_url=url, headers={MACAROON: macaroon}, trust_env=False, verify=NO_AUTHORITIES
            )
        return self.clients[alias]

    async def call(self, alias: str, method: str, target: str, body: Any = None) -> Any:
        """A call that must succeed."""
        answer = await (await self.client(alias)).request(method, target, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def stream(self, alias: str, method: str, target: str, body: Any = None) -> Stream:
        """A stream, begun."""
        begun = Stream(await self.client(alias), method, target, body)
        self._streams.append(begun)
        return begun

    async def hold(self, digest: bytes, sats: int = 50_000, **fields: Any) -> str:
        """A hold invoice of the coordinator."""
        order = {"hash": base64.b64encode(digest).decode(), "value": str(sats), **fields}
        made = await self.call("coordinator", "POST", "/v2/invoices/hodl", order)
        return str(made["payment_request"])

    async def pay(self, alias: str, invoice: str, **fields: Any) -> Stream:
        """A payment, begun."""
        order = {"payment_request": invoice, "fee_limit_sat": "100", "timeout_seconds": 30, **fields}
        return await self.stream(alias, "POST", "/v2/router/send", order)

    async def lookup(self, digest: bytes, alias: str = "coordinator") -> Any:
        """An invoice."""
        text = base64.urlsafe_b64encode(digest).decode()
        return await self.call(alias, "GET", f"/v2/invoices/lookup?payment_hash={text}")

    async def until_state(self, digest: bytes, state: str, alias: str = "coordinator") -> Any:
        """An invoice, once it is in a state."""
        text = base64.urlsafe_b64encode(digest).decode()
        stream = await self.stream(alias, "GET", f"/v2/invoices/subscribe/{text}")
        async with asyncio.timeout(10):
            while not stream.lines or stream.lines[-1]["result"]["state"] != state:
                await stream.at_least(len(stream.lines) + 1)
        stream.task.cancel()
        await asyncio.gather(stream.task, return_exceptions=True)
        return await self.lookup(digest, alias)

    async def until_payment(self, alias: str, digest: bytes) -> None:
        """Wait until a payment is known."""
        with self.network.bus.subscription(payment_topic(alias, digest)) as queue:
            if self.network.state.payments.peek(pair_key(alias, digest)) is None:
                async with asyncio.timeout(10):
                    await queue.get()

    async def close(self) -> None:
        """Stop the service, then the clients: what is under way sees a service that goes, and is taken note of: an
        error that nobody reads would be told whenever the task is collected."""
        await self.service.close()
        await asyncio.gather(*(stream.task for stream in self._streams), return_exceptions=True)
        for client in (*self.clients.values(), self.control):
            await client.aclose()


@asynccontextmanager
async def served(data_dir: Path, time_source: Callable[[], float] | None = None) -> AsyncIterator[Rig]:
    """A network at height 117 with coordinator, router and alice as in the recordings."""
    network = Network(data_dir, time_source) if time_source else Network(data_dir)
    if not network.state.nodes.peek("coordinator"):
        network.set_tip(117, "75" * 32, 1_795_259_676)
    service = LightningService(network, None, data_dir)
    rig = Rig(network, service, await service.start(0, 0, 5_000_000))
    try:
        await rig.control.post("/control/nodes", json={"alias": "alice"})
        await rig.control.post("/control/nodes", json={"alias": "loner", "capacity_sat": 0})
        yield rig
    finally:
        await rig.close()


@pytest.fixture
def serve() -> Callable[..., Any]:
    """The context manager `served`."""
    return served


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A served network."""
    async with served(tmp_path) as running:
        yield running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The coordinator's node of a network with one wallet, without a server in between."""
    network = Network(tmp_path)
    for alias in ("coordinator", "router", "alice"):
        network.add_node(alias)
    network.open_channel("coordinator", "router", 5_000_000, 2_500_000)
    endpoints = rest_node.ENDPOINTS + rest_invoices.ENDPOINTS + rest_payments.ENDPOINTS
    gateway = Gateway(network, "coordinator", endpoints, lambda _: NodeState.SERVER_ACTIVE)
    macaroon = network.bakery("coordinator").bake(ALL_PERMISSIONS).hex()
    transport = httpx.ASGITransport(gateway)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://node", headers={MACAROON: macaroon}) as client:
        yield client
    network.close()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The control server of a network with one wallet, without a server in between."""
    network = Network(tmp_path)
    for alias in ("coordinator", "router", "alice"):
        network.add_node(alias)

    async def serve_nothing(alias: str) -> str:
        return f"http://{alias}"

    transport = httpx.ASGITransport(Control(network, serve_nothing, follows_chain=False))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        yield client
    network.close()
