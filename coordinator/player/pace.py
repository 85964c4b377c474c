"""How often a player looks: soon after something changed, rarely while nothing does; an absent server is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from coordinator.player.busy import LONGEST_WAIT
from coordinator.player.http import NoAnswer, ServerRefused

FIRST_SECONDS = 0.5
GROWTH = 1.5
LATER = frozenset({429, 502, 503, 504})
"""Statuses that say: try later."""
MOVED_ON = LATER | {409}
"""Conflict besides: the competition moved on while we asked, another look tells what is wanted now."""


class Pace:
    """The pauses of one loop; `say` hears once of each trouble."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pause = FIRST_SECONDS
        self._seen: object = None
        self._trouble = ""

    async def wait(self, seen: object, longest: float) -> None:
        """Pause at most `longest` seconds; `seen` is what the last look found."""
        self._pause = FIRST_SECONDS if seen != self._seen else self._pause * GROWTH
        self._pause = min(self._pause, longest)
        self._seen, self._trouble = seen, ""
        await asyncio.sleep(self._pause)

    async def after(self, error: NoAnswer | ServerRefused, longest: float, passing: frozenset[int] = MOVED_ON) -> None:
        """Pause after a trouble that passes, as long as the server asked for; any other is raised again."""
        if isinstance(error, ServerRefused) and error.status not in passing:
            raise error
        if str(error) != self._trouble:
            self._say(f"tries again: {error}")
        self._trouble = str(error)
        self._pause = min(self._pause * GROWTH, longest)
        wanted = error.retry_after if isinstance(error, ServerRefused) else None
        await asyncio.sleep(max(self._pause, min(wanted or 0.0, LONGEST_WAIT)))
