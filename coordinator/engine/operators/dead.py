"""Duties that were given up after the same defect came again and again: opened again, one or many at once."""

from __future__ import annotations

from coordinator.engine.operators.acting import By, House, Verb, act, known_lane
from coordinator.ports.store import Transaction


async def reopen(house: House, by: By, *, lane: str | None = None, kind: str = "", duty: str = "") -> bytes:
    """Dead duties that match everything given are tried again: of a competition, of a kind, one, or all of them.
    {"reopened": ids}. Raises UnknownCompetition.
    """

    async def effect(tx: Transaction) -> object:
        if lane is not None:
            await known_lane(tx, lane)
        now = float(house.clock.wall())
        return {"reopened": await tx.reopen(now, lane=lane, kind=kind or None, duty=duty or None)}

    return await act(house, by, Verb.REOPEN, effect, lane=lane, subject=duty or kind)
