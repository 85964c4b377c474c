"""How often a service may be asked: subscribe first, poll slowly, never pile up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from coordinator.adapters.reply import TransportError
from coordinator_core.errors import Fault


class RequestBudget:
    """A token bucket: at most `burst` requests at once, `per_second` on average, callers served in order.

    Who would have to wait longer than `patience` seconds is refused with TransportError (nothing was sent),
    so that a slow dependency cannot pile up work.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        patience: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._interval = 1.0 / per_second
        self._slack = (burst - 1) * self._interval
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._next = clock() - self._slack

    async def take(self, service: str, fault: Fault) -> None:
        """Wait for a turn. Raises TransportError when the turn is further away than the patience."""
        now = self._clock()
        turn = max(self._next, now - self._slack)
        wait = turn - now
        if wait > self._patience:
            raise TransportError(service, "request budget exhausted", fault=fault, sent=False, retry_after=wait)
        self._next = turn + self._interval
        if wait > 0:
            await self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let nobody through for `seconds`: the service asked for it."""
        self._next = max(self._next, self._clock() + seconds)
