"""A server between the coordinator and its LND, which ends the coordinator before it hears the answer to a call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from coordinator.cli.embedded import Stack
from tools.regtest.lnd import Lnd

SECONDS = 120.0
PASSED_ON = frozenset({b"grpc-metadata-macaroon", b"content-type"})


class LightningProxy:
    """Use as an async context manager. Plain HTTP on loopback; every call is passed on and answered as it comes."""

    def __init__(self, stack: Stack, node: Lnd) -> None:
        self._stack = stack
        self._node = node
        self._path = ""
        self._kill: Callable[[], None] = lambda: None
        self._killed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @contextlib.contextmanager
    def in_front(self) -> Iterator[None]:
        """What is started meanwhile takes the proxy for its node."""
        direct = self._stack.elsewhere["lightning"]
        self._stack.elsewhere["lightning"] = {"url": self._url, "macaroon_file": direct["macaroon_file"]}
        try:
            yield
        finally:
            self._stack.elsewhere["lightning"] = direct

    def kill_after(self, path: str, kill: Callable[[], None]) -> asyncio.Future[int]:
        """Call `kill` once LND has answered the next call of a path, and keep the answer; its status."""
        self._path, self._kill = path, kill
        return self._killed

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            base_url=self._node.url, verify=self._node.tls(), timeout=SECONDS, trust_env=False
        )
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
        self._server.force_exit = True
        await self._serving
        self._listener.close()
        await self._client.aclose()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"] if name in PASSED_ON}
        path = (scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")).decode()
        async with self._client.stream(scope["method"], path, content=await _body(receive), headers=headers) as reply:
            if scope["path"] == self._path and not self._killed.done():
                await reply.aread()
                self._kill()
                self._killed.set_result(reply.status_code)
                return
            await _pass_on(reply, send)


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        part = await receive()
        body += part.get("body", b"")
        if not part.get("more_body"):
            return body


async def _pass_on(reply: httpx.Response, send: Any) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": reply.status_code,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    async for part in reply.aiter_bytes():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
