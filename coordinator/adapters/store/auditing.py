"""Which competitions nothing drives, which are late, and what is stored of one. Index look-ups for each open lane."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.reading import load_lane
from coordinator.adapters.store.timing import wake_of
from coordinator.ports.auditing import LateRow, Moments, Stored
from coordinator.ports.following import Watch
from coordinator.ports.timing import Wake
from coordinator_core.units import UnixTime


class AuditStatements:
    """See ports.auditing.AuditWrites."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def is_undriven(self, lane: str) -> bool:
        """See ports.auditing.AuditWrites."""
        return await self._c.scalar(select(t.lane.c.id).where(t.lane.c.id == lane, is_undriven())) is not None


class AuditQueries:
    """See ports.auditing.AuditReads."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def undriven(self, limit: int) -> Sequence[str]:
        """See ports.auditing.AuditReads."""
        async with self._reader.connect() as connection:
            rows = await connection.execute(select(t.lane.c.id).where(is_undriven()).limit(limit))
            return [row.id for row in rows]

    async def late(self, now: Moments, limit: int) -> Sequence[LateRow]:
        """See ports.auditing.AuditReads."""
        c = t.budget.c
        clocks = {"wall": now.wall, "domain": now.domain, "median": now.median, "height": now.height}
        over = or_(*(and_(c.name == name, c.due < value) for name, value in clocks.items()))
        query = (
            select(c.lane, t.state_row.c.state, t.state_row.c.entered_at)
            .join(t.state_row, t.state_row.c.lane == c.lane)
            .join(t.lane, t.lane.c.id == c.lane)
            .where(over, t.lane.c.quarantined_reason.is_(None))
            .order_by(c.name, c.due)
            .limit(limit)
        )
        async with self._reader.connect() as connection:
            rows = [LateRow(row.lane, row.state, UnixTime(row.entered_at)) for row in await connection.execute(query)]
        return list({row.lane: row for row in rows}.values())

    async def stored(self, lane: str) -> Stored | None:
        """See ports.auditing.AuditReads. One read transaction: nothing is applied in between."""
        async with self._reader.begin() as connection:
            record = await load_lane(connection, lane)
            if record is None:
                return None
            duty, watch, timer, budget = t.duty.c, t.watch.c, t.timer.c, t.budget.c
            live = or_(text("status = 'open'"), text("status = 'dead'"))
            duties = await connection.execute(select(duty.id, duty.status).where(duty.lane == lane, live))
            watches = await connection.execute(select(watch.keytype, watch.key).where(watch.lane == lane))
            news = select(t.inbox.c.seq).where(t.inbox.c.lane == lane, text("status = 0")).limit(1)
            return Stored(
                record=record,
                duties={row.id: row.status for row in duties},
                watches=frozenset(Watch(row.keytype, row.key) for row in watches),
                wake=await _moments(connection, timer.lane == lane, timer.name, timer.due),
                budget=await _moments(connection, budget.lane == lane, budget.name, budget.due),
                news=await connection.scalar(news) is not None,
            )


async def _moments(connection: AsyncConnection, mine: ColumnElement[bool], *columns: ColumnElement[object]) -> Wake:
    return wake_of({str(row[0]): row[1] for row in await connection.execute(select(*columns).where(mine))})


def is_undriven() -> ColumnElement[bool]:
    """Of a lane: neither over nor stopped, and nothing will ever look at it again. A watch is no reason to be idle:
    what it waits for may never come, so whoever watches has a duty or a timer besides.
    """
    mine = t.lane.c.id
    return and_(
        t.lane.c.terminal_at.is_(None),
        t.lane.c.quarantined_reason.is_(None),
        ~exists().where(t.duty.c.lane == mine, text("duty.status = 'open'")),
        ~exists().where(t.timer.c.lane == mine),
        ~exists().where(t.inbox.c.lane == mine, text("inbox.status = 0")),
    )
