"""How long Lightning keeps a hold, for as long as it cannot be asked: what it was seen with at earlier starts.

LND cancels a hold by itself some blocks before the payment expires, 12 or 18 by its version. Taken for fewer, a hold is
counted on that is gone already; taken for more, a player is let go whose hold would have lasted.
"""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.engine.components import HOUSE
from coordinator.ports.store import Store
from coordinator_core.units import Blocks


async def remembered(store: Store, possible: Iterable[Blocks]) -> Blocks:
    """The largest of the `possible` deltas that the node was seen with; the largest of all when it never was."""
    deltas = set(possible)
    seen = [delta for delta in deltas if await store.pinned(HOUSE, _slot(delta)) is not None]
    return max(seen or deltas)


async def remember(store: Store, delta: Blocks) -> None:
    """The node says now that it cancels so many blocks before the end."""
    if await store.pinned(HOUSE, _slot(delta)) is None:
        async with store.write() as tx:
            await tx.pin(HOUSE, _slot(delta), b"")


def _slot(delta: Blocks) -> str:
    return f"cancel delta {delta}"
