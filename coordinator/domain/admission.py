"""Which competitions may be in their closing at once (spec of the engine, row J-15): signing is costly, and players who
are there wait for a signer that has time. First in, first out by the end of their tickets' sale.
"""

from __future__ import annotations

from collections.abc import Mapping

from coordinator_core.units import UnixTime


def ahead_of(lane: str, waiting: Mapping[str, UnixTime], free: int) -> int:
    """How many of those who wait have to begin before `lane` does; 0: it is its turn. `waiting` holds when the sale of
    tickets ended, `lane` among them; `free`: how many more may be in their closing. At the same end the lower id is
    first.
    """
    order = sorted(waiting, key=lambda name: (waiting[name], name))
    return max(0, order.index(lane) - free + 1)
