"""The door of the web application: it knows who is inside, and lets nobody in once it is closed.

The server beneath stops listening last: so an operator's probe reads "stopping" instead of a refused connection, and a
browser that comes during a restart is told when to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from coordinator_core.errors import Fault, Refused


class Stopping(Refused):
    """The coordinator stops: nothing new is begun. What was accepted is done, now or after the restart."""

    code = "coordinator.stopping"


class Door:
    """Open until it is closed, for ever."""

    def __init__(self) -> None:
        self._closed = False
        self._inside: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Nobody comes in any more. Routes without `require_open` are still answered."""
        self._closed = True

    def require_open(self) -> None:
        """Raises Stopping."""
        if self._closed:
            fix = "try again in a few seconds; what was accepted before is kept"
            raise Stopping("coordinator", "is stopping", fix, fault=Fault.COORDINATOR)

    async def empty(self, seconds: float) -> bool:
        """Wait until nobody is inside. False when somebody had to be put out after `seconds`."""
        if not self._inside:
            return True
        _, late = await asyncio.wait(tuple(self._inside), timeout=seconds)
        for request in late:
            request.cancel()
        return not late

    @property
    def is_closed(self) -> bool:
        """True from `close` on."""
        return self._closed

    @contextmanager
    def inside(self, request: asyncio.Task[Any]) -> Iterator[None]:
        """A request that is answered by a task."""
        self._inside.add(request)
        try:
            yield
        finally:
            self._inside.discard(request)


class Doorway:
    """ASGI: every request goes through the door that `door` gives."""

    def __init__(self, inner: ASGIApp, door: Callable[[], Door]) -> None:
        self._inner = inner
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request while it is answered. After the door was closed its connection ends with it."""
        request = asyncio.current_task()
        if scope["type"] != "http" or request is None:
            await self._inner(scope, receive, send)
            return
        door, persistent = self._door(), scope["http_version"].startswith("1")

        async def last(message: Message) -> None:
            if door.is_closed and persistent and message["type"] == "http.response.start":
                MutableScopeHeaders.from_message(message)["connection"] = "close"
            await send(message)

        with door.inside(request):
            await self._inner(scope, receive, last)
