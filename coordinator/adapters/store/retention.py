"""What a database may forget. Found by reading, deleted in small transactions: nobody waits for a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, and_, delete, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.ports.operating import Leftover
from coordinator_core.units import UnixTime

DONE = 1
KEPT_BLOCKS = 2_160
"""Headers that are always there to roll back along: twice the longest delta and a day."""
_ENDED = t.duty.c.status.in_(("done", "obsolete"))
_EMPTY = ~exists().where(t.chain_hit.c.block_hash == t.chain_block.c.hash)


async def leftovers(connection: AsyncConnection, what: Leftover, before: UnixTime, limit: int) -> list[Any]:
    """Keys of at most `limit` rows that may go."""
    rows = await connection.execute(_FOUND[what](before).limit(limit))
    return [tuple(row) for row in rows]


async def forget(connection: AsyncConnection, what: Leftover, keys: list[Any]) -> int:
    """Delete rows that are still ended; their number. Attempts of a duty go with it."""
    table, columns, still = _TABLES[what]
    chosen = tuple_(*(table.c[name] for name in columns)).in_(keys)
    if what is Leftover.DUTIES:
        ids = select(t.duty.c.id).where(chosen, still)
        await connection.execute(delete(t.duty_attempt).where(t.duty_attempt.c.duty.in_(ids)))
    done = await connection.execute(delete(table).where(and_(chosen, still)))
    return done.rowcount


def _ended_lanes(before: UnixTime) -> Any:
    """Competitions that ended so long ago. A terminal state that is left again has no end."""
    return select(t.lane.c.id).where(t.lane.c.terminal_at < before)


def _news(before: UnixTime) -> Any:
    c = t.inbox.c
    return select(c.seq).where(c.status == DONE, c.response.is_(None), c.done_at < before)


def _commands(before: UnixTime) -> Any:
    c = t.inbox.c
    return select(c.seq).where(c.status == DONE, c.done_at < before, c.lane.in_(_ended_lanes(before)))


def _duties(before: UnixTime) -> Any:
    c = t.duty.c
    return select(c.id).where(_ENDED, c.done_at < before, c.lane.in_(_ended_lanes(before)))


def _attempts(before: UnixTime) -> Any:
    c = t.duty_attempt.c
    return select(c.duty, c.fence).where(c.ended_at < before)


def _watches(before: UnixTime) -> Any:
    c = t.watch.c
    return select(c.keytype, c.key, c.lane).where(c.lane.in_(_ended_lanes(before)))


def _blocks(before: UnixTime) -> Any:
    c = t.chain_block.c
    deep = select(func.max(c.height)).scalar_subquery() - KEPT_BLOCKS
    return select(c.height).where(c.time < before, c.height < deep, _EMPTY)


def _alerts(before: UnixTime) -> Any:
    c = t.alert.c
    return select(c.key).where(c.cleared < before)


_FOUND = {
    Leftover.NEWS: _news,
    Leftover.COMMANDS: _commands,
    Leftover.DUTIES: _duties,
    Leftover.ATTEMPTS: _attempts,
    Leftover.WATCHES: _watches,
    Leftover.BLOCKS: _blocks,
    Leftover.ALERTS: _alerts,
}
_TABLES: Mapping[Leftover, tuple[Table, tuple[str, ...], Any]] = {
    Leftover.NEWS: (t.inbox, ("seq",), t.inbox.c.status == DONE),
    Leftover.COMMANDS: (t.inbox, ("seq",), t.inbox.c.status == DONE),
    Leftover.DUTIES: (t.duty, ("id",), _ENDED),
    Leftover.ATTEMPTS: (t.duty_attempt, ("duty", "fence"), t.duty_attempt.c.ended_at.is_not(None)),
    Leftover.WATCHES: (
        t.watch,
        ("keytype", "key", "lane"),
        t.watch.c.lane.in_(select(t.lane.c.id).where(t.lane.c.terminal_at.is_not(None))),
    ),
    Leftover.BLOCKS: (t.chain_block, ("height",), _EMPTY),
    Leftover.ALERTS: (t.alert, ("key",), t.alert.c.cleared.is_not(None)),
}
