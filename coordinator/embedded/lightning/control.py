"""The control server: what a test or a demo may do to the network that no Lightning API offers.

JSON over HTTP on loopback. Wallets on demand, channels, faults, start-up states, height and clock, and the ledger
that shows that no satoshi came or went.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from coordinator.embedded.lightning import protojson
from coordinator.embedded.lightning.channel import MSAT, held_msat
from coordinator.embedded.lightning.http import (
    Json,
    Receive,
    Scope,
    Send,
    read_body,
    send_json,
)
from coordinator.embedded.lightning.macaroon import ALL_PERMISSIONS
from coordinator.embedded.lightning.model import Mode, NodeState
from coordinator.embedded.lightning.network import ROUTER, Network
from coordinator_core.errors import CoreError, InvalidInput

DEFAULT_CAPACITY_SAT: Final = 5_000_000
Handler = Callable[[Json], Awaitable[Json]]
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class Control:
    """The control server as an ASGI application. `serve` starts a node's REST server and returns its address."""

    def __init__(self, network: Network, serve: Callable[[str], Awaitable[str]], *, follows_chain: bool) -> None:
        self._network = network
        self._serve = serve
        self._follows_chain = follows_chain
        self._handlers: dict[tuple[str, str], Handler] = {
            ("POST", "/control/nodes"): self.create_node,
            ("GET", "/control/nodes"): self.list_nodes,
            ("POST", "/control/channels"): self.open_channel,
            ("POST", "/control/faults"): self.set_fault,
            ("POST", "/control/state"): self.force_state,
            ("POST", "/control/height"): self.set_height,
            ("POST", "/control/clock"): self.advance_clock,
            ("GET", "/control/ledger"): self.ledger,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a refusal is {"error", "field", "fix"} with status 400."""
        if scope["type"] != "http":
            return
        handler = self._handlers.get((scope["method"], scope["path"]))
        if handler is None:
            await send_json(send, 404, {"error": "no such control call"})
            return
        try:
            _check_host(scope)
            answer = await handler(_object(await read_body(receive)))
        except InvalidInput as error:
            await send_json(send, 400, {"error": error.reason, "field": error.field, "fix": error.fix})
        except CoreError as error:
            await send_json(send, 400, {"error": str(error)})
        else:
            await send_json(send, 200, answer)

    async def create_node(self, body: Json) -> Json:
        """A wallet with a channel to the router; one that exists is shown as it is."""
        alias = _text(body, "alias")
        capacity = _integer(body, "capacity_sat", DEFAULT_CAPACITY_SAT)
        if self._network.state.nodes.peek(alias) is None:
            self._network.add_node(alias)
            if capacity:
                pushed = _integer(body, "pushed_sat", capacity // 2)
                self._network.open_channel(alias, ROUTER, capacity, pushed)
        return await self._describe(alias)

    async def list_nodes(self, body: Json) -> Json:
        """All nodes, with addresses and macaroons."""
        aliases = [node.alias for node in self._network.state.nodes.values()]
        return {"nodes": [await self._describe(alias) for alias in aliases]}

    async def _describe(self, alias: str) -> Json:
        node = self._network.node(alias)
        return {
            "alias": alias,
            "url": await self._serve(alias),
            "public_key": node.public_key.hex(),
            "macaroon_hex": self._network.bakery(alias).bake(ALL_PERMISSIONS).hex(),
            "mode": str(node.mode),
        }

    async def open_channel(self, body: Json) -> Json:
        """One more channel: {"opener", "peer", "capacity_sat", "pushed_sat"}."""
        capacity = _integer(body, "capacity_sat", DEFAULT_CAPACITY_SAT)
        pushed = _integer(body, "pushed_sat", capacity // 2)
        channel = self._network.open_channel(_text(body, "opener"), _text(body, "peer"), capacity, pushed)
        return {"chan_id": str(channel.chan_id)}

    async def set_fault(self, body: Json) -> Json:
        """{"node", "mode": "ok" | "fail" | "hold" | "offline"}."""
        text = _text(body, "mode")
        if text not in list(Mode):
            raise InvalidInput("mode", f"{text!r} is unknown", "ok, fail, hold or offline")
        self._network.set_mode(_text(body, "node"), Mode(text))
        return {}

    async def force_state(self, body: Json) -> Json:
        """{"node", "state": a start-up state, or null for the true one}."""
        text = body.get("state")
        if text is not None and text not in list(NodeState):
            raise InvalidInput("state", f"{text!r} is unknown", "give a state of /v1/state or null")
        self._network.force_state(_text(body, "node"), None if text is None else NodeState(text))
        return {}

    async def set_height(self, body: Json) -> Json:
        """{"height"}; only where no Bitcoin node is followed."""
        if self._follows_chain:
            raise InvalidInput("height", "comes from the Bitcoin node", "mine a block there")
        height = _integer(body, "height", -1)
        if not 0 <= height < 500_000_000:
            raise InvalidInput("height", f"{height} is no height", "an integer from 0 to 499999999")
        self._network.set_tip(height, f"{height:064x}", self._network.clock.seconds())
        return {}

    async def advance_clock(self, body: Json) -> Json:
        """{"advance_seconds"}: push the wall clock of all nodes forward."""
        seconds = _integer(body, "advance_seconds", -1)
        if seconds < 0:
            raise InvalidInput("advance_seconds", "is not positive", "give whole seconds")
        self._network.advance_clock(seconds)
        return {}

    async def ledger(self, body: Json) -> Json:
        """Every channel with its balances and held HTLCs, each node's sum, and the total that never changes."""
        channels = sorted(self._network.state.channels.values(), key=lambda channel: channel.chan_id)
        nodes = {node.alias: 0 for node in self._network.state.nodes.values()}
        for channel in channels:
            for alias, balance in channel.balances.items():
                nodes[alias] += balance
        held = sum(held_msat(channel) for channel in channels)
        return {
            "channels": [
                {
                    "chan_id": str(channel.chan_id),
                    "capacity_sat": channel.capacity_sat,
                    "balances_msat": channel.balances,
                    "held_msat": held_msat(channel),
                }
                for channel in channels
            ],
            "nodes_msat": nodes,
            "held_msat": held,
            "total_msat": sum(nodes.values()) + held,
            "total_sat": (sum(nodes.values()) + held) // MSAT,
        }


def _check_host(scope: Scope) -> None:
    """Refuse a browser that was lured here by a name that resolves to loopback."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if any(host.rsplit(":", 1)[0] not in _LOOPBACK for host in hosts):
        raise InvalidInput("host", "is not loopback", "call 127.0.0.1")


def _object(body: bytes) -> Json:
    if not body:
        return {}
    try:
        value = protojson.parse(body.decode())
    except ValueError as error:
        raise InvalidInput("body", "is not JSON", "send a JSON object") from error
    if not isinstance(value, dict):
        raise InvalidInput("body", "is not an object", "send a JSON object")
    return value


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInput(name, "is missing or no text", "give a string")
    return value


def _integer(body: Json, name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, "is no whole number", "give an integer")
    return value
