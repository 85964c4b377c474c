"""What could be done next: of each class of duties and of news what waits longest, each found by one index range."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.domain.duties import Urgency
from coordinator.ports.leasing import Due
from coordinator.ports.store import InboxClass

PAGE = 4
"""Candidates for each slot: enough to choose between competitions, few however many are due."""
STOPPED = "stopped AS (SELECT id FROM lane WHERE quarantined_reason IS NOT NULL)"
CLASS = """SELECT * FROM (SELECT id, lane, channel, urgency, due_at, protective FROM duty
 WHERE status = 'open' AND channel = :{c} AND urgency = {u} AND due_at <= :now
 AND (protective = 1 OR lane NOT IN (SELECT id FROM stopped)){full} ORDER BY due_at LIMIT :{c}_limit) AS {c}_{u}"""
"""No condition is an OR over the status, so the partial index serves each of them."""

OF_CLASS = """SELECT * FROM (SELECT prio, seq, lane FROM inbox WHERE status = 0 AND prio = {n}
 ORDER BY seq LIMIT :limit) AS news_{n}"""
NEWS = text(" UNION ALL ".join(OF_CLASS.format(n=int(one)) for one in InboxClass))


async def due_duties(
    connection: AsyncConnection, now: float, limits: Mapping[str, int], full: Mapping[str, Collection[str]]
) -> Sequence[Due]:
    """See ports.store.Store.due. In each channel the most urgent class first, in a class the longest waiting."""
    if not limits:
        return ()
    query, values = candidates(now, limits, full)
    rows = await connection.execute(query, values)
    return [Due(row.id, row.lane, row.channel, Urgency(row.urgency), row.due_at, bool(row.protective)) for row in rows]


def candidates(
    now: float, limits: Mapping[str, int], full: Mapping[str, Collection[str]]
) -> tuple[TextClause, Mapping[str, Any]]:
    """The query, and what it is asked with."""
    values: dict[str, Any] = {"now": now}
    parts: list[str] = []
    lists: list[str] = []
    for number, (channel, limit) in enumerate(sorted(limits.items())):
        name = f"c{number}"
        values |= {name: channel, f"{name}_limit": PAGE * limit}
        lanes = ""
        if full.get(channel):
            lists.append(f"{name}_full")
            values[f"{name}_full"] = sorted(full[channel])
            lanes = f" AND lane NOT IN :{name}_full"
        parts.extend(CLASS.format(c=name, u=int(urgency), full=lanes) for urgency in Urgency)
    query = text(f"WITH {STOPPED} " + " UNION ALL ".join(parts))
    return query.bindparams(*(bindparam(name, expanding=True) for name in lists)), values


def most_urgent(due: Sequence[Due], limits: Mapping[str, int]) -> Collection[str]:
    """In each channel as many as may be leased, by class and then by how long they wait."""
    chosen: list[str] = []
    for channel, limit in limits.items():
        ours = sorted((one for one in due if one.channel == channel), key=lambda one: (one.urgency, one.due_at))
        chosen.extend(one.id for one in ours[:limit])
    return chosen
