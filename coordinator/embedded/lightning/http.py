"""The HTTP edge of one node: path and method to a handler, refusals and streams in the gateway's shapes.

Plain ASGI, because the gateway's behaviour is the point: 404 and 501 as JSON, no headers before the first line of
a stream, `{"error": ...}` around what a stream route refuses but not around what is refused before it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from coordinator.embedded.lightning import protojson
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.macaroon import Permission
from coordinator.embedded.lightning.model import NodeState
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.protojson import Message, Schema
from coordinator.embedded.lightning.schemas import EMPTY

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Json = dict[str, Any]

_JSON_HEADERS: Final = [(b"content-type", b"application/json")]
_STARTING: Final = {
    NodeState.WAITING_TO_START: "waiting to start, RPC services not available",
    NodeState.LOCKED: "wallet locked, unlock it to enable full RPC access",
    NodeState.UNLOCKED: "the RPC server is in the process of starting up, but not yet ready to accept calls",
}


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it: the node's alias, path parameters, query, body."""

    network: Network
    alias: str
    node_state: NodeState
    parameters: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Message = field(default_factory=dict[str, Any])

    @property
    def synced(self) -> bool:
        """The node has started and follows the chain."""
        return self.node_state is NodeState.SERVER_ACTIVE


UnaryHandler = Callable[[Call], Awaitable[Json]]
StreamHandler = Callable[[Call], AsyncGenerator[Json]]


@dataclass(frozen=True)
class Endpoint:
    """A route: `*` in the path is one parameter. `check` refuses bad parameters before the stream begins."""

    method: str
    path: str
    permission: Permission | None
    unary: UnaryHandler | None = None
    stream: StreamHandler | None = None
    schema: Schema = field(default_factory=lambda: EMPTY)
    check: Callable[[tuple[str, ...]], None] | None = None
    method_name: str = ""
    """Full name of the gRPC method behind the route: a macaroon may grant it alone."""

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """The path's parameters, or None if it is another path."""
        pattern = tuple(self.path.strip("/").split("/"))
        if len(pattern) != len(segments):
            return None
        pairs = list(zip(pattern, segments, strict=True))
        if any(wanted not in ("*", given) for wanted, given in pairs):
            return None
        return tuple(given for wanted, given in pairs if wanted == "*")


class Gateway:
    """The REST server of one node as an ASGI application. `node_state` says how far its start is."""

    def __init__(
        self, network: Network, alias: str, endpoints: tuple[Endpoint, ...], node_state: Callable[[str], NodeState]
    ) -> None:
        self._network = network
        self._alias = alias
        self._endpoints = endpoints
        self._bakery = network.bakery(alias)
        self._node_state = node_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            endpoint, parameters = self._find(scope)
            call = await self._read(scope, receive, endpoint, parameters)
        except LndError as error:
            await send_json(send, error.status, error.body())
            return
        if endpoint.stream is not None:
            await self._stream(scope, receive, send, endpoint, endpoint.stream, call)
        elif endpoint.unary is not None:
            await self._unary(scope, receive, send, endpoint, endpoint.unary, call)

    def _find(self, scope: Scope) -> tuple[Endpoint, tuple[str, ...]]:
        segments = tuple(scope["path"].strip("/").split("/"))
        found = [(item, parameters) for item in self._endpoints if (parameters := item.match(segments)) is not None]
        if not found:
            raise LndError("Not Found", Code.NOT_FOUND)
        for endpoint, parameters in found:
            if endpoint.method == scope["method"]:
                return endpoint, parameters
        raise LndError("Method Not Allowed", Code.UNIMPLEMENTED)

    async def _read(self, scope: Scope, receive: Receive, endpoint: Endpoint, parameters: tuple[str, ...]) -> Call:
        if endpoint.check is not None:
            endpoint.check(parameters)
        try:
            query = dict(parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=64))
        except (UnicodeDecodeError, ValueError) as error:
            raise LndError("malformed query", Code.INVALID_ARGUMENT) from error
        body: Message = {}
        if endpoint.method == "POST":
            body = protojson.decode(await read_body(receive), endpoint.schema)
        return Call(self._network, self._alias, self._node_state(self._alias), parameters, query, body)

    def _admit(self, scope: Scope, endpoint: Endpoint, call: Call) -> None:
        """Start-up state first, then the macaroon. Raises LndError."""
        if endpoint.permission is None:
            return
        if call.node_state in _STARTING:
            raise LndError(_STARTING[call.node_state])
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"grpc-metadata-macaroon"]
        self._bakery.check(headers, endpoint.permission, endpoint.method_name)

    async def _unary(
        self, scope: Scope, receive: Receive, send: Send, endpoint: Endpoint, handler: UnaryHandler, call: Call
    ) -> None:
        async def answer() -> None:
            try:
                self._admit(scope, endpoint, call)
                body = await handler(call)
            except LndError as error:
                await send_json(send, error.status, error.body())
            else:
                await send_json(send, 200, body)

        await until_gone(answer(), receive)

    async def _stream(
        self, scope: Scope, receive: Receive, send: Send, endpoint: Endpoint, handler: StreamHandler, call: Call
    ) -> None:
        async def answer() -> None:
            begun = False
            try:
                self._admit(scope, endpoint, call)
                async with aclosing(handler(call)) as items:
                    async for item in items:
                        await _send_line(send, 200, {"result": item}, begun=begun)
                        begun = True
            except LndError as error:
                await _send_line(send, error.status, {"error": error.body()}, begun=begun)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await until_gone(answer(), receive)


async def until_gone(answer: Awaitable[None], receive: Receive) -> None:
    """Run to the end, or until the client has gone. What the call started goes on without it."""
    working = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        leaving.cancel()
    failed, _ = await asyncio.gather(working, leaving, return_exceptions=True)
    if isinstance(failed, Exception):
        raise failed


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises LndError when it is too large or the client left."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise LndError("client disconnected", Code.INVALID_ARGUMENT)
        body += event.get("body", b"")
        if len(body) > protojson.MAX_BODY:
            raise LndError("request body too large", Code.INVALID_ARGUMENT)
        if not event.get("more_body", False):
            return bytes(body)


async def send_json(send: Send, status: int, body: Json) -> None:
    """One JSON object."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = [*_JSON_HEADERS, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _send_line(send: Send, status: int, body: Json, *, begun: bool) -> None:
    if not begun:
        await send({"type": "http.response.start", "status": status, "headers": _JSON_HEADERS})
    line = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    await send({"type": "http.response.body", "body": line, "more_body": True})
