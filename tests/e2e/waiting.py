"""Bounded polling: the one way in which scenarios wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60.0

T = TypeVar("T")


async def wait_for(probe: Callable[[], Awaitable[T | None]], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """Ask until the answer is neither None nor False. Raises AssertionError naming what was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not (found := await probe()):  # noqa: ASYNC110  (other processes signal no event here)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s in vain for {what}") from None
    return found
