"""The gateway client: one connection, the keygen calls and the signing calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import httpx

from coordinator.adapters.http import RequestBudget
from coordinator.adapters.keymeld.connection import Connection
from coordinator.adapters.keymeld.keygen import KeygenCalls
from coordinator.adapters.keymeld.service import ServiceCalls
from coordinator.adapters.keymeld.signing import SigningCalls
from coordinator.ports.clock import WallClock

PARALLEL_SESSIONS = 6


class KeymeldGateway(KeygenCalls, SigningCalls, ServiceCalls):
    """Implements ports.keymeld.Keymeld over HTTP. Use as an async context manager, or call `close`.

    Requests are paced at 25 a second, at most `parallel` sessions are worked on at a time. `transport`,
    `sleep` and `monotonic` are replaced in tests only.
    """

    def __init__(
        self,
        base_url: str,
        clock: WallClock,
        *,
        compress: bool = True,
        parallel: int = PARALLEL_SESSIONS,
        budget: RequestBudget | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = Connection(base_url, clock, compress=compress, budget=budget, transport=transport)
        self._parallel = asyncio.Semaphore(parallel)
        self._sleep = sleep
        self._monotonic = monotonic

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()
