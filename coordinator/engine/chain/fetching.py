"""Blocks ahead of the cursor: asked for at the same time, handed out in order, within bounds of number and bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from coordinator.ports.bitcoin import Block, Chain
from coordinator_core.units import Height

LEAST_WINDOW: Final = 4
LARGEST_WINDOW: Final = 32
WINDOW_BYTES: Final = 16_000_000
"""Serialized bytes of blocks that are here or on their way; read they take about five times that."""
TAKEN_BYTES: Final = 2_000_000
"""Handed out at once: what is done with them holds the database for a moment."""


class Prefetch:
    """The next blocks of the best chain from one height on. Close it when its blocks are wanted no more.

    The window grows while blocks are waited for, which is when the node takes long, or while it alone limits how many
    are handed out at once; it shrinks while blocks wait here. A block that came later than the one after it is handed
    out before it all the same.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._asked: dict[Height, asyncio.Task[Block | None]] = {}
        self._largest = 0
        self.window = LEAST_WINDOW
        """Blocks that are asked for at the same time, 4 to 32."""

    async def take(self, first: Height, last: Height, most: int) -> Sequence[Block]:
        """At least one block from `first` on if there is one, and what has come of those behind it up to `last`, each
        one higher than the one before, at most `most`. What was asked for and starts elsewhere is forgotten.

        Raises faults.PortError for the first block; that of a later one is raised when it is first.
        """
        await self._begin(first)
        self._ask(first, last)
        taken: list[Block] = []
        size = 0
        while len(taken) < most and size < TAKEN_BYTES:
            block = await self._next(Height(first + len(taken)), waiting=not taken)
            if block is None:
                break
            taken.append(block)
            size += block.size
        self._used_up(len(taken), most)
        self._ask(Height(first + len(taken)), last)
        return taken

    async def aclose(self) -> None:
        """Forget what was asked for."""
        asked, self._asked = list(self._asked.values()), {}
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    async def _begin(self, first: Height) -> None:
        """A window whose first block is not here when it is wanted is too small, one that is full too large."""
        task = self._asked.get(first)
        if task is None:
            await self.aclose()
        elif not task.done():
            self.window = min(LARGEST_WINDOW, self.window * 2)
        elif task.exception() is not None:
            # It failed while it was not wanted yet: that is no answer to the question of now.
            del self._asked[first]
        elif all(asked.done() for asked in self._asked.values()):
            self.window = max(LEAST_WINDOW, self.window - 1)

    def _used_up(self, taken: int, most: int) -> None:
        if not self._asked and self.window <= taken < most:
            self.window = min(LARGEST_WINDOW, self.window * 2)

    async def _next(self, height: Height, *, waiting: bool) -> Block | None:
        task = self._asked.get(height)
        if task is None or not (waiting or (task.done() and task.exception() is None)):
            return None
        del self._asked[height]
        block = await task
        if block is not None:
            self._largest = max(block.size, self._largest - self._largest // 64)
        return block

    def _ask(self, first: Height, last: Height) -> None:
        for height in range(first, min(last, Height(first + self._fitting() - 1)) + 1):
            if Height(height) not in self._asked:
                self._asked[Height(height)] = asyncio.create_task(self._chain.block_at(Height(height)))

    def _fitting(self) -> int:
        """Blocks as large as the largest of late that stay within the bytes; one always does."""
        return max(1, min(self.window, WINDOW_BYTES // max(1, self._largest)))
