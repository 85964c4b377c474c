"""A node's REST interface as anyone sees it, without our client: status and JSON, streams by their first lines."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    """Status and JSON; of a stream the list of its lines."""

    status: int
    body: Any


@dataclass(frozen=True)
class Door:
    """Where a node is and the macaroon that is shown, in hex; None shows none."""

    url: str
    macaroon: str | None
    verify: ssl.SSLContext | bool = True

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        lines: int | None = None,
    ) -> Answer:
        """One request. `lines`: of a stream wait for so many, or for its end. A text is sent as it is."""
        headers = {"Grpc-Metadata-macaroon": self.macaroon} if self.macaroon is not None else {}
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        async with (
            asyncio.timeout(PATIENCE),
            httpx.AsyncClient(base_url=self.url, verify=self.verify, headers=headers, trust_env=False) as client,
            client.stream(method, path, params=query, content=content) as response,
        ):
            if lines is None:
                return Answer(response.status_code, json.loads(await response.aread()))
            found: list[Any] = []
            async for line in response.aiter_lines():
                found.append(json.loads(line))
                if len(found) == lines:
                    break
            return Answer(response.status_code, found)
