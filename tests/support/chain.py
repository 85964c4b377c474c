"""A chain as a lookout sees it."""

from __future__ import annotations

from coordinator.engine.chain.lookout import Lookout
from coordinator_core.units import Height, UnixTime

CURSOR = Height(100)


def lag(lookout: Lookout, blocks: int | None) -> None:
    """The node is so many blocks ahead, the newest from just now; None: it does not answer."""
    lookout.stored(CURSOR)
    lookout.heard(Height(CURSOR + (blocks or 0)), UnixTime(lookout.wall()))
    if blocks is None:
        lookout.silent()
