"""Timers and budgets: when a competition is looked at again, and how long it may stay in its state. Range scans over
(name, due): an idle competition costs a look at the clock nothing.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, tuple_
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coordinator.adapters.store import statements as st
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prepared import with_next_trip
from coordinator.ports import correlation
from coordinator.ports.timing import NEVER, Wake
from coordinator_core.units import Height, UnixTime

FIRED_AT_ONCE = 500
NEW = 0


class TimerStatements:
    """The timers' part of a write transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def set_wake(self, lane: str, wake: Wake, budget: Wake = NEVER) -> None:
        """See ports.store.Transaction. Only what differs is written."""

        def replace(raw: sqlite3.Connection) -> None:
            _replace(raw, st.TIMERS, lane, moments(wake))
            _replace(raw, st.BUDGETS, lane, moments(budget))

        await with_next_trip(self._c, replace)

    async def fire_timers(
        self,
        wall: UnixTime,
        domain: UnixTime,
        height: Height,
        *,
        median: UnixTime | None = None,
        limit: int = FIRED_AT_ONCE,
    ) -> Sequence[str]:
        """See ports.store.Transaction. The longest due first, of each clock."""
        c = t.timer.c
        lanes: set[str] = set()
        for name, now in present(wall, domain, height, median).items():
            due = select(c.lane, c.name).where(c.name == name, c.due <= now).order_by(c.due).limit(limit)
            fired = delete(t.timer).where(tuple_(c.lane, c.name).in_(due)).returning(c.lane)
            lanes.update(row.lane for row in await self._c.execute(fired))
        return sorted(lanes)

    async def wake_lanes(self, lanes: Sequence[str], prio: int, source: str, kind: str, now: UnixTime) -> None:
        """See ports.store.Transaction."""
        row: dict[str, object] = {"prio": prio, "source": source, "kind": kind, "received_at": now, "status": NEW}
        asked = correlation.current()
        rows = [
            {**row, "lane": lane, "dkey": uuid.uuid4().hex, "request_id": asked or correlation.fresh()}
            for lane in lanes
        ]
        if rows:
            await self._c.execute(insert(t.inbox), rows)


def _replace(raw: sqlite3.Connection, of: st.Moments, lane: str, wanted: Mapping[str, int]) -> None:
    known: dict[str, int] = dict(of.known.run(raw, {"of": lane}))
    of.drop.run_many(raw, [{"of": lane, "gone": name} for name in known if name not in wanted])
    changed = ((name, due) for name, due in wanted.items() if known.get(name) != due)
    of.put.run_many(raw, [{"lane": lane, "name": name, "due": due} for name, due in changed])


class TimerQueries:
    """The timers' reads."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def timer_due(
        self, wall: UnixTime, domain: UnixTime, height: Height, *, median: UnixTime | None = None
    ) -> bool:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return bool(await connection.scalar(select(_any_due(present(wall, domain, height, median)))))


def present(wall: UnixTime, domain: UnixTime, height: Height, median: UnixTime | None) -> dict[str, int]:
    """What each clock shows, by the name of its timers; one that is not known fires nothing."""
    clocks = {"wall": wall, "domain": domain, "height": height}
    return clocks if median is None else {**clocks, "median": median}


def moments(wake: Wake) -> dict[str, int]:
    """The moments that are set, by the name of their clock."""
    named = {"wall": wake.wall, "domain": wake.domain, "median": wake.median, "height": wake.height}
    return {name: due for name, due in named.items() if due is not None}


def wake_of(due: Mapping[str, Any]) -> Wake:
    """The other way round."""
    return Wake(wall=due.get("wall"), domain=due.get("domain"), height=due.get("height"), median=due.get("median"))


def _any_due(now: Mapping[str, int]) -> ColumnElement[bool]:
    c = t.timer.c
    # One EXISTS for each clock: each is a look at the first row of its range.
    return or_(*(exists().where(and_(c.name == name, c.due <= value)) for name, value in now.items()))
