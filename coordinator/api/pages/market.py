"""Today's fees for pages: asked of the node rarely, however many people look."""

from __future__ import annotations

import asyncio

import structlog

from coordinator.api.context import Api
from coordinator.ports.faults import PortError
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.units import UnixTime

FRESH_SECONDS = 20
PATIENCE_SECONDS = 2.0

log = structlog.get_logger()


class MarketBoard:
    """The node's last answer, kept for 20 s; None while it does not answer. One question at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked_at: UnixTime | None = None
        self._market: FeeMarket | None = None

    async def look(self, api: Api) -> FeeMarket | None:
        """Fees as of the last 20 s, or None: a page is shown even when the node is away."""
        async with self._lock:
            now = api.engine.clock.wall()
            if self._asked_at is None or not 0 <= now - self._asked_at < FRESH_SECONDS:
                self._market = await _ask(api)
                self._asked_at = now
            return self._market


async def _ask(api: Api) -> FeeMarket | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await api.market()
    except (PortError, TimeoutError) as error:
        log.warning("no fees for the pages", error=type(error).__name__)
        return None
