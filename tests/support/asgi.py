"""Requests straight to an ASGI application, with bytes that no HTTP client would send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote


@dataclass
class Answer:
    """What came back, and how many pieces of the body the application asked for."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    pieces_read: int = 0

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    application: Any,
    method: str,
    target: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    pieces: Sequence[bytes] = (b"",),
    client: str | None = "192.0.2.1",
) -> Answer:
    """One request. `target` is path and query as on the wire, `pieces` the body as it arrives."""
    path, _, query = target.partition("?")
    answer = Answer()

    async def receive() -> dict[str, Any]:
        index = answer.pieces_read
        answer.pieces_read += 1
        return {"type": "http.request", "body": pieces[index], "more_body": index + 1 < len(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path, errors="replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(headers),
        "client": None if client is None else (client, 40_000),
        "server": ("test", 80),
        "state": {},
    }
    await application(scope, receive, send)
    return answer
