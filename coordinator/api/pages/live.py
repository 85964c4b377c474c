"""The parts of pages that change, made once for everyone who looks: again when the competition changed, and after a
second at the latest, since dates and confirmations are shown.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from coordinator.engine.wakeups import Wakeups

FRESH_SECONDS: Final = 1.0
MOST: Final = 256
"""Competitions that are remembered at once."""


@dataclass(frozen=True, slots=True)
class Live:
    """The part of a page that changes. `refresh` False: it never will again."""

    url: str
    body: str
    """Rendered HTML."""
    tag: str
    announcement: str
    refresh: bool


class LiveBoard:
    """What was made last, by competition. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: dict[str, tuple[float, Live]] = {}
        self._heard: Wakeups | None = None

    async def look(self, wakeups: Wakeups, lane: str, make: Callable[[], Awaitable[Live]]) -> Live:
        """The part as of the last second. Raises what `make` raises."""
        if self._heard is not wakeups:
            wakeups.listen(self._forget)
            self._heard, self._made = wakeups, {}
        now = self._clock()
        known = self._made.get(lane)
        if known is not None and 0.0 <= now - known[0] < FRESH_SECONDS:
            return known[1]
        live = await make()
        if len(self._made) >= MOST:
            self._made.clear()
        # Dated before it was read: what changed meanwhile is seen a second later.
        self._made[lane] = (now, live)
        return live

    def _forget(self, lane: str) -> None:
        self._made.pop(lane, None)
