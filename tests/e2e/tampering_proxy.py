"""A server between a player and a service, which changes what the player is told: a coordinator that cheats.

It runs in the test's own process. Requests that the player signed for the proxy's address are signed again for the
service's, with the player's key: to the service the player is honest, only the answers are not.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

SECONDS = 30.0
PASSED_ON = frozenset({"content-type", "x-user-signature", "x-session-signature", "idempotency-key"})
Rewrite = Callable[[str, bytes], bytes]
"""From path and body of a good answer to the body that the player gets."""


class TamperingProxy:
    """Use as an async context manager. `rewrite` None: every answer is passed on as it is."""

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self.url = ""
        self.rewrite: Rewrite | None = None
        self.later: tuple[str, ...] = ()
        """Posts to paths with these ends are answered 503 and go nowhere."""
        self.posted: list[str] = []
        """Ends of the paths that were posted to, refused ones included."""
        self.canned: dict[str, bytes] = {}
        """Answers by path that the service never hears of."""
        self.answered: list[tuple[str, bytes]] = []
        """Every good answer that was passed on, by "METHOD /path"."""
        self._identities: dict[bytes, SecretKey] = {}

    def speak_for(self, identity: SecretKey) -> None:
        """Sign again what this player signs."""
        self._identities[identity.x_only] = identity

    def honest(self) -> None:
        """Pass everything on from now on, and forget what was posted."""
        self.rewrite, self.later = None, ()
        self.posted.clear()
        self.canned.clear()

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(timeout=SECONDS, trust_env=False)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self._answer, interface="asgi3", lifespan="off", log_config=None, access_log=False)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        await self._server.ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving
        self._listener.close()
        await self._client.aclose()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        body = await _read(receive)
        if scope["method"] != "GET":
            self.posted.append(scope["path"].rsplit("/", 1)[-1])
        if scope["method"] != "GET" and scope["path"].endswith(self.later or ("\n",)):
            await _send(send, 503, b"{}")
            return
        if scope["path"] in self.canned:
            await _send(send, 200, self.canned[scope["path"]])
            return
        answer = await self._client.request(
            scope["method"], f"{self.target}{path}", content=body, headers=self._headers(scope, path, body)
        )
        content = answer.content
        if answer.is_success:
            self.answered.append((f"{scope['method']} {scope['path']}", content))
        if self.rewrite is not None and answer.is_success:
            content = self.rewrite(scope["path"], content)
        await _send(send, answer.status_code, content)

    def _headers(self, scope: Any, path: str, body: bytes | None) -> dict[str, str]:
        given = {name.decode(): value.decode() for name, value in scope["headers"]}
        headers = {name: value for name, value in given.items() if name in PASSED_ON}
        if "authorization" in given:
            identity = self._identities[_author(given["authorization"])]
            now = UnixTime(int(time.time()))
            headers["Authorization"] = build_authorization(scope["method"], self.target + path, body, identity, now)
        return headers


class _Server(uvicorn.Server):
    """Leaves the test runner's signal handlers alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _author(authorization: str) -> bytes:
    return bytes.fromhex(json.loads(base64.b64decode(authorization.removeprefix("Nostr ")))["pubkey"])


async def _read(receive: Any) -> bytes | None:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) or None


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
