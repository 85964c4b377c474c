"""Wake-ups are events, data is in the database: a lost wake-up costs one poll interval, never a fact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Wakeups:
    """Events of the loops, and listeners that want to know which lane changed."""

    def __init__(self) -> None:
        self.apply = asyncio.Event()
        self.duties = asyncio.Event()
        self.probe = asyncio.Event()
        """A service did not answer: ask all of them."""
        self.chain = asyncio.Event()
        """The node has a block that is not stored yet: follow it now, not at the next look."""
        self.in_step = asyncio.Event()
        """Every block of the node is stored, as it was just asked; the money loop waits for it."""
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` with each lane that changed; the returned function ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self, lane: str) -> None:
        """A lane changed."""
        for listener in tuple(self._listeners):
            listener(lane)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event at most so long, then clear it."""
    try:
        async with asyncio.timeout(seconds):
            # An event that stands returns at once: a loop that is always woken could never be cancelled.
            await asyncio.sleep(0)
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
