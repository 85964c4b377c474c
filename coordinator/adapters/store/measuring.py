"""Queues, ages and counts: what health and metrics are made of. Reads only, over indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.auditing import is_undriven
from coordinator.adapters.store.reading import claimable
from coordinator.ports.measuring import Progress
from coordinator_core.units import UnixTime

_OPEN, _DEAD, _NEW = text("status = 'open'"), text("status = 'dead'"), text("status = 0")


class ProgressQueries:
    """See ports.measuring.MeasuringReads."""

    _path: Path

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def progress(self, now: float) -> Progress:
        """See ports.measuring.MeasuringReads."""
        async with self._reader.connect() as connection:
            state, prio, channel = t.state_row.c.state, t.inbox.c.prio, t.duty.c.channel
            entered = func.min(t.state_row.c.entered_at)
            states = await _rows(connection, select(state, func.count(), entered).group_by(state))
            received = func.min(t.inbox.c.received_at)
            inbox = await _rows(connection, select(prio, func.count(), received).where(_NEW).group_by(prio))
            duties = await _rows(connection, select(channel, func.count()).where(_OPEN).group_by(channel))
            due = select(channel, func.min(t.duty.c.due_at)).where(*claimable(now)).group_by(channel)
            late = await _rows(connection, due)
            stopped = select(func.count()).where(t.lane.c.quarantined_reason.is_not(None))
            return Progress(
                states={row[0]: row[1] for row in states},
                entered={row[0]: UnixTime(row[2]) for row in states},
                stopped=await _number(connection, stopped),
                stuck=await _number(connection, select(func.count()).select_from(t.lane).where(is_undriven())),
                inbox={row[0]: row[1] for row in inbox},
                inbox_oldest=min((UnixTime(row[2]) for row in inbox), default=None),
                duties={row[0]: row[1] for row in duties},
                due={row[0]: row[1] for row in late},
                dead=await _number(connection, select(func.count()).select_from(t.duty).where(_DEAD)),
                wal_bytes=_size(self._path.with_name(f"{self._path.name}-wal")),
            )


async def _rows(connection: AsyncConnection, query: Any) -> list[Any]:
    return list(await connection.execute(query))


async def _number(connection: AsyncConnection, query: Any) -> int:
    return int(await connection.scalar(query) or 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
