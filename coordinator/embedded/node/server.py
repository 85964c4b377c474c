"""Two loopback HTTP servers over one node: JSON-RPC with a cookie, Esplora's REST with CORS.

The node works in one thread of its own; the event loop only reads and writes. Bodies above 16 MB are refused.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvicorn

from coordinator.embedded.node.esplora.routes import Reply, answer
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.rpc.dispatch import Dispatcher
from coordinator.embedded.node.rpc.method import Context

MAX_BODY: Final = 16_000_000
COOKIE_USER: Final = "__cookie__"
GUESSING_DELAY_SECONDS: Final = 0.25
HTML: Final = "text/html; charset=ISO-8859-1"
CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type"),
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Cookie:
    """The password of this run, in a file only its owner can read, as bitcoind writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        value = f"{COOKIE_USER}:{secrets.token_hex(32)}"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value)
        self._expected = b"Basic " + base64.b64encode(value.encode())

    def allows(self, authorization: bytes) -> bool:
        """True for the right credentials."""
        return hmac.compare_digest(authorization, self._expected)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


async def _body(receive: Receive) -> bytes | None:
    """The request body, None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(
    send: Send, status: int, content_type: str | None, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    typed = ((b"content-type", content_type.encode()),) if content_type else ()
    length = () if status == 204 else ((b"content-length", str(len(body)).encode()),)
    await send({"type": "http.response.start", "status": status, "headers": [*typed, *length, *headers]})
    await send({"type": "http.response.body", "body": body})


class NodeServers:
    """Both servers and the node's thread."""

    def __init__(self, node: EmbeddedNode, cookie: Cookie) -> None:
        self._cookie = cookie
        self._thread = ThreadPoolExecutor(1, "node")
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        began = time.monotonic()
        self._context = Context(
            node,
            stop=self._stop_from_thread,
            uptime_seconds=lambda: int(time.monotonic() - began),
        )
        self._dispatcher = Dispatcher(self._context)

    def stop(self) -> None:
        """Ask both servers to end."""
        self._stopping.set()

    def _stop_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self.stop)

    async def serve(self, rpc: socket.socket, esplora: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until `stop`; `ready` is called once both listen."""
        servers = [_Server(self.rpc_app), _Server(self.esplora_app)]
        sockets = (rpc, esplora)
        tasks = [asyncio.create_task(s.serve(sockets=[sock])) for s, sock in zip(servers, sockets, strict=True)]
        try:
            await asyncio.gather(*(server.listening.wait() for server in servers))
            ready()
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            self._thread.shutdown()

    async def rpc_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """JSON-RPC."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if scope["method"] != "POST":
            await _respond(send, 405, HTML, b"JSONRPC server handles only POST requests")
            return
        if not self._cookie.allows(headers.get(b"authorization", b"")):
            if b"authorization" in headers:
                await asyncio.sleep(GUESSING_DELAY_SECONDS)
            await _respond(send, 401, HTML, b"", ((b"www-authenticate", b'Basic realm="jsonrpc"'),))
            return
        body = await _body(receive)
        if body is None:
            await _respond(send, 413, HTML, b"")
            return
        reply = await self._loop.run_in_executor(self._thread, self._dispatcher.answer, body)
        await _respond(send, reply.status, "application/json" if reply.body else None, reply.body)

    async def esplora_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Esplora's REST."""
        if scope["type"] != "http":
            return
        if scope["method"] == "OPTIONS":
            await _respond(send, 204, None, b"", CORS)
            return
        body = await _body(receive)
        if body is None:
            await _respond(send, 413, "text/plain", b"body too large", CORS)
            return
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        reply: Reply = await self._loop.run_in_executor(
            self._thread, answer, self._context, method, scope["path"], body
        )
        await _respond(send, reply.status, reply.content_type, reply.body, CORS)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process and says when it listens."""

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none", interface="asgi3")
        )
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def listen(port: int) -> socket.socket:
    """A listening loopback socket; port 0 takes a free one. Raises OSError when the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
