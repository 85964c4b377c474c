"""The operator's rows: audit log, stopped competitions, duties that do not get done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.reading import unfinished
from coordinator.ports.operating import Act, ActRow, StoppedRow, TroubleRow
from coordinator_core.units import UnixTime

_OPEN, _DEAD = text("status = 'open'"), text("status = 'dead'")


class OperatorStatements:
    """See ports.operating.OperatorWrites."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def acted(self, dkey: str) -> bytes | None:
        """See ports.operating.OperatorWrites."""
        return await self._c.scalar(select(t.audit.c.answer).where(t.audit.c.dkey == dkey))

    async def record_act(self, act: Act, answer: bytes, now: UnixTime) -> None:
        """Fails on a key that is taken: nobody writes over the audit log."""
        row = {"dkey": act.dkey, "at": now, "who": act.who, "act": act.act, "lane": act.lane}
        more = {"subject": act.subject, "reason": act.reason, "answer": answer}
        await self._c.execute(insert(t.audit).values(**row, **more))

    async def hurry(self, now: float, *, lane: str | None = None, duty: str | None = None) -> int:
        """A leased duty is being worked at: it is left alone."""
        done = await self._c.execute(
            update(t.duty)
            .where(_OPEN, t.duty.c.owner.is_(None), *_matching(lane=lane, id=duty))
            .values(due_at=now, failures=0, defects=0)
        )
        return done.rowcount

    async def reopen(
        self, now: float, *, lane: str | None = None, kind: str | None = None, duty: str | None = None
    ) -> Sequence[str]:
        """The fence stays: whoever held it last comes too late."""
        rows = await self._c.execute(
            update(t.duty)
            .where(_DEAD, *_matching(lane=lane, kind=kind, id=duty))
            .values(status="open", due_at=now, failures=0, defects=0, done_at=None, owner=None)
            .returning(t.duty.c.id)
        )
        return sorted(row.id for row in rows)

    async def search_again(self, lane: str) -> int:
        """Hits that are known stay: a block may be searched twice."""
        again = {"backfilled": 0, "next_height": t.watch.c.since_height}
        done = await self._c.execute(update(t.watch).where(t.watch.c.lane == lane).values(**again))
        return done.rowcount


def _matching(**wanted: str | None) -> list[Any]:
    return [t.duty.c[name] == value for name, value in wanted.items() if value is not None]


class OperatorQueries:
    """See ports.operating.OperatorReads."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def unfinished(self) -> Sequence[str]:
        """See ports.operating.OperatorReads."""
        query = select(t.lane.c.id).where(unfinished()).order_by(t.lane.c.id)
        async with self._reader.connect() as connection:
            return [row.id for row in await connection.execute(query)]

    async def stopped(self) -> Sequence[StoppedRow]:
        """See ports.operating.OperatorReads."""
        c = t.lane.c
        query = select(c.id, c.quarantined_reason, c.quarantined_at).where(c.quarantined_reason.is_not(None))
        async with self._reader.connect() as connection:
            rows = await connection.execute(query.order_by(c.quarantined_at, c.id))
            return [StoppedRow(row.id, row.quarantined_reason, UnixTime(row.quarantined_at or 0)) for row in rows]

    async def troubled_duties(self, failures: int, limit: int) -> Sequence[TroubleRow]:
        """See ports.operating.OperatorReads."""
        c = t.duty.c
        failing = and_(_OPEN, c.failures >= failures)
        query = select(t.duty).where(or_(_DEAD, failing)).order_by(c.created_at, c.id).limit(limit)
        async with self._reader.connect() as connection:
            found = [await _trouble(connection, row) for row in (await connection.execute(query)).all()]
        return sorted(found, key=lambda row: row.since)

    async def lanes_with(self, kind: str) -> Sequence[tuple[str, str, UnixTime]]:
        """See ports.operating.OperatorReads."""
        c = t.fact.c
        query = select(c.lane, c.key, c.observed_at).where(c.kind == kind).order_by(c.observed_at, c.lane, c.key)
        async with self._reader.connect() as connection:
            return [(row.lane, row.key, UnixTime(row.observed_at)) for row in await connection.execute(query)]

    async def acts(self, limit: int, before: int | None = None) -> Sequence[ActRow]:
        """See ports.operating.OperatorReads."""
        query = _acts().order_by(t.audit.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(t.audit.c.seq < before)
        async with self._reader.connect() as connection:
            return [_act(row) for row in await connection.execute(query)]

    async def last_act(self, names: Sequence[str]) -> ActRow | None:
        """See ports.operating.OperatorReads."""
        query = _acts().where(t.audit.c.act.in_(names)).order_by(t.audit.c.seq.desc()).limit(1)
        async with self._reader.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _act(row)


async def _trouble(connection: AsyncConnection, row: Row[Any]) -> TroubleRow:
    c = t.duty_attempt.c
    failed = select(c.ended_at).where(c.duty == row.id, c.error.is_not(None)).limit(1)
    # Each attempt has a fence of its own, not each has a line. One that is under way has not failed yet.
    first = row.fence - row.failures + (1 if row.owner is None else 0)
    began = await connection.scalar(failed.where(c.fence >= first).order_by(c.fence))
    if began is None:
        # Attempts that got lost raise the fence too.
        began = await connection.scalar(failed.order_by(c.fence.desc()))
    return TroubleRow(
        lane=row.lane,
        duty=row.id,
        kind=row.kind,
        status=row.status,
        attempts=row.attempts,
        failures=row.failures,
        error=row.last_error or "",
        since=UnixTime(row.created_at if began is None else int(began)),
    )


def _acts() -> Any:
    c = t.audit.c
    return select(c.seq, c.at, c.who, c.act, c.lane, c.subject, c.reason)


def _act(row: Any) -> ActRow:
    return ActRow(
        seq=row.seq,
        at=UnixTime(row.at),
        who=row.who,
        act=row.act,
        lane=row.lane,
        subject=row.subject,
        reason=row.reason,
    )
