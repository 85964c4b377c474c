"""A server between the coordinator and its node, which ends the coordinator at the moment of a call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from coordinator.cli.embedded import Stack

SECONDS = 30.0


class NodeProxy:
    """Use as an async context manager. Every call is passed on, but for the one that is waited for."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._target = stack.url("node")
        self._method = ""
        self._kill: Callable[[], None] = lambda: None
        self._parameters: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    @contextlib.contextmanager
    def in_front(self) -> Iterator[None]:
        """What is started meanwhile takes the proxy for the node."""
        ready = self._stack.children["node"].ready
        ready["url"] = self._url
        try:
            yield
        finally:
            ready["url"] = self._target

    def kill_at(self, method: str, kill: Callable[[], None]) -> asyncio.Future[list[Any]]:
        """Call `kill` instead of passing the next call of a method on; its parameters."""
        self._method, self._kill = method, kill
        return self._parameters

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(timeout=SECONDS, trust_env=False)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self._answer, interface="asgi3", lifespan="off", log_config=None, access_log=False)
        )
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving
        self._listener.close()
        await self._client.aclose()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        asked = json.loads(body)
        if asked["method"] == self._method and not self._parameters.done():
            self._kill()
            self._parameters.set_result(asked["params"])
            await _reply(send, 503, b"")
            return
        headers = {n.decode(): v.decode() for n, v in scope["headers"] if n in (b"authorization", b"content-type")}
        answer = await self._client.post(self._target, content=body, headers=headers)
        await _reply(send, answer.status_code, answer.content)


async def _reply(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
