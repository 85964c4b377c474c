"""One id and one line of the log for each request: method, route, status and time. No query, no body, no address.

Around the whole application, so that requests for routes that do not exist are seen as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.engine.vitals import Vitals
from coordinator.ports.correlation import HEADER, accepted, carrying

UNROUTED: Final = "none"
"""Route of a request that no route answers: its path is the caller's to choose, and is not written down."""

log = structlog.get_logger()


class RequestLog:
    """ASGI. `vitals` gives the meters of the engine that answers now."""

    def __init__(self, inner: ASGIApp, vitals: Callable[[], Vitals]) -> None:
        self._inner = inner
        self._vitals = vitals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry the request's id through everything that is done for it, and give it back."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        vitals = self._vitals()
        began, status = vitals.clock(), 500
        with carrying(accepted(Headers.from_scope(scope).get(HEADER.lower(), ""))) as request_id:

            async def watched(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    MutableScopeHeaders.from_message(message)[HEADER.lower()] = request_id
                await send(message)

            try:
                await self._inner(scope, receive, watched)
            finally:
                seconds = vitals.clock() - began
                method, route = str(scope["method"]), str(scope.get("path_template") or UNROUTED)
                vitals.meters.requests.add(method, route, f"{status // 100}xx")
                vitals.meters.request_seconds.observe(seconds)
                log.info("request", method=method, route=route, status=status, ms=round(seconds * 1_000, 1))
