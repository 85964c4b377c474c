"""One write transaction on SQLite: the statements behind ports.store.Transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.alerting import AlertStatements
from coordinator.adapters.store.chain_rows import ChainRows
from coordinator.adapters.store.following import Following
from coordinator.adapters.store.operating import OperatorStatements
from coordinator.adapters.store.reading import claimable, load_lane
from coordinator.domain.facts import Fact
from coordinator.domain.versions import STATES
from coordinator.ports import correlation
from coordinator.ports.store import DutyRow, LaneRecord
from coordinator_core.errors import Misuse
from coordinator_core.units import UnixTime

NEW, DONE, PARKED = 0, 1, 2


class StaleRevision(Misuse):
    """A lane changed between load and save: the single writer was bypassed."""

    code = "store.stale_revision"


class SqliteTransaction(AlertStatements, ChainRows, Following, OperatorStatements):
    """See ports.store.Transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self._c = connection

    async def create_lane(self, lane: str, state: bytes, tag: str, now: UnixTime) -> None:
        """Revision 0, before any transition."""
        await self._c.execute(insert(t.lane).values(id=lane, created_at=now, rev=0))
        row = {"state": tag, "v": STATES.version(tag), "rev": 0, "data": state, "entered_at": now}
        await self._c.execute(insert(t.state_row).values(lane=lane, **row))

    async def load(self, lane: str) -> LaneRecord | None:
        """State, facts and chain in one read."""
        return await load_lane(self._c, lane)

    async def save_state(
        self, record: LaneRecord, steps: Sequence[tuple[str, str, str]], state: bytes, now: UnixTime, *, terminal: bool
    ) -> None:
        """Compare-and-set on the revision. Raises StaleRevision."""
        rev = record.rev + len(steps)
        values = {"rev": rev, "terminal_at": now if terminal else None}
        done = await self._c.execute(
            update(t.lane).where(t.lane.c.id == record.id, t.lane.c.rev == record.rev).values(**values)
        )
        if done.rowcount != 1:
            raise StaleRevision(f"lane {record.id} is not at revision {record.rev}")
        await self._c.execute(
            update(t.state_row)
            .where(t.state_row.c.lane == record.id)
            .values(state=steps[-1][1], v=STATES.version(steps[-1][1]), rev=rev, data=state, entered_at=now)
        )
        rows = [
            {"lane": record.id, "from_state": a, "to_state": b, "rev": record.rev + n, "reason": why, "at": now}
            for n, (a, b, why) in enumerate(steps, start=1)
        ]
        await self._c.execute(insert(t.transition), rows)

    async def put_facts(self, lane: str, facts: Sequence[Fact], source: str, now: UnixTime) -> bool:
        """One upsert a fact; an equal body counts as no change."""
        changed = False
        for fact in facts:
            body = msgspec.json.encode(fact)
            row = {"lane": lane, "kind": fact.kind(), "key": fact.key, "body": body, "v": fact.version}
            statement = insert(t.fact).values(**row, source=source, observed_at=now)
            if fact.repeatable:
                statement = statement.on_conflict_do_update(
                    index_elements=["lane", "kind", "key"],
                    set_={"body": body, "v": fact.version, "source": source, "observed_at": now},
                    where=t.fact.c.body != body,
                )
            else:
                statement = statement.on_conflict_do_nothing()
            changed |= (await self._c.execute(statement)).rowcount == 1
        return changed

    async def notify(self, lane: str, prio: int, source: str, dkey: str, kind: str, now: UnixTime) -> int | None:
        """(source, dkey) is unique in the inbox."""
        row: dict[str, object] = {"lane": lane, "prio": prio, "source": source, "dkey": dkey, "kind": kind}
        row["received_at"] = now
        row["request_id"] = correlation.current() or correlation.fresh()
        done = await self._c.execute(insert(t.inbox).values(**row, status=NEW).on_conflict_do_nothing())
        if done.rowcount != 1:
            return None
        return await self._c.scalar(select(t.inbox.c.seq).where(t.inbox.c.source == source, t.inbox.c.dkey == dkey))

    async def answered(self, source: str, dkey: str) -> bytes | None:
        """The answer stays with the inbox row for ever."""
        return await self._c.scalar(
            select(t.inbox.c.response).where(t.inbox.c.source == source, t.inbox.c.dkey == dkey)
        )

    async def answer(self, seq: int, response: bytes, now: UnixTime) -> None:
        """The row is done with its answer."""
        await self._c.execute(
            update(t.inbox).where(t.inbox.c.seq == seq).values(response=response, status=DONE, done_at=now)
        )

    async def cause(self, lane: str) -> str:
        """The newest row's: what it carries on was asked for last."""
        query = select(t.inbox.c.request_id).where(t.inbox.c.lane == lane, text("status = 0"))
        return await self._c.scalar(query.order_by(t.inbox.c.seq.desc()).limit(1)) or ""

    async def finish_inbox(self, lane: str, now: UnixTime) -> int:
        """Only rows that are still new."""
        done = await self._c.execute(
            update(t.inbox).where(t.inbox.c.lane == lane, text("status = 0")).values(status=DONE, done_at=now)
        )
        return done.rowcount

    async def quarantine(self, lane: str, reason: str, now: UnixTime) -> None:
        """The lane keeps its reason; its rows are parked, not lost."""
        since = func.coalesce(t.lane.c.quarantined_at, now)
        await self._c.execute(
            update(t.lane).where(t.lane.c.id == lane).values(quarantined_reason=reason, quarantined_at=since)
        )
        await self.park_inbox(lane, reason, now)

    async def park_inbox(self, lane: str, reason: str, now: UnixTime) -> None:
        """Parked rows are neither new nor done: nothing forgets them, retention included."""
        await self._c.execute(
            update(t.inbox)
            .where(t.inbox.c.lane == lane, text("status = 0"))
            .values(status=PARKED, done_at=now, error=reason)
        )

    async def resume(self, lane: str) -> None:
        """What came meanwhile is applied like news; the facts are there already."""
        await self._c.execute(
            update(t.lane).where(t.lane.c.id == lane).values(quarantined_reason=None, quarantined_at=None)
        )
        await self._c.execute(
            update(t.inbox)
            .where(t.inbox.c.lane == lane, t.inbox.c.status == PARKED)
            .values(status=NEW, done_at=None, error=None)
        )

    async def claim(self, now: float, lease: float, owner: str, limits: Mapping[str, int]) -> Sequence[DutyRow]:
        """The lease ends by itself; the fence tells a late worker that it is late."""
        claimed: list[DutyRow] = []
        for channel, limit in limits.items():
            due = (
                select(t.duty.c.id)
                .where(*claimable(now), t.duty.c.channel == channel)
                .order_by(t.duty.c.due_at)
                .limit(limit)
            )
            rows = await self._c.execute(
                update(t.duty)
                .where(t.duty.c.id.in_(due))
                .values(owner=owner, fence=t.duty.c.fence + 1, attempts=t.duty.c.attempts + 1, due_at=now + lease)
                .returning(
                    t.duty.c.id,
                    t.duty.c.lane,
                    t.duty.c.channel,
                    t.duty.c.kind,
                    t.duty.c.args,
                    t.duty.c.attempts,
                    t.duty.c.failures,
                    t.duty.c.fence,
                    t.duty.c.v,
                    t.duty.c.protective == 1,
                    t.duty.c.request_id,
                )
            )
            claimed.extend(DutyRow(*row) for row in rows)
        return claimed

    async def end_leases(self, now: float) -> None:
        """The file lock says that the earlier owner is gone; the next claim still raises the fence."""
        leased = (t.duty.c.owner.is_not(None), text("status = 'open'"))
        await self._c.execute(update(t.duty).where(*leased).values(owner=None, due_at=now))

    async def complete(self, row: DutyRow, status: str, due_at: float, error: str | None, now: float) -> bool:
        """Compare-and-set on the fence."""
        failures = row.failures + 1 if error is not None else 0
        values = {"status": status, "due_at": due_at, "owner": None, "last_error": error, "failures": failures}
        if status != "open":
            values["done_at"] = int(now)
        done = await self._c.execute(
            update(t.duty)
            .where(t.duty.c.id == row.id, t.duty.c.fence == row.fence, text("status = 'open'"))
            .values(**values)
        )
        if done.rowcount != 1:
            return False
        if status != "open" or error is not None:
            attempt = {"duty": row.id, "fence": row.fence, "ended_at": now, "outcome": status, "error": error}
            await self._c.execute(insert(t.duty_attempt).values(**attempt))
        return True

    async def pin(self, duty: str, slot: str, value: bytes) -> bytes:
        """The first writer wins; everyone gets what is stored."""
        await self._c.execute(insert(t.pin).values(duty=duty, slot=slot, value=value).on_conflict_do_nothing())
        stored = await self._c.scalar(select(t.pin.c.value).where(t.pin.c.duty == duty, t.pin.c.slot == slot))
        if stored is None:
            raise Misuse(f"pin {slot} of {duty} was not written")
        return stored

    async def put_secret(self, lane: str, name: str, sealed: bytes) -> None:
        """The first writer wins."""
        await self._c.execute(insert(t.secret).values(lane=lane, name=name, sealed=sealed).on_conflict_do_nothing())

    async def reserve(self, resource: str, lane: str, purpose: str, value: bytes = b"") -> bool:
        """The unique row is the reservation."""
        row = {"resource": resource, "lane": lane, "purpose": purpose, "value": value}
        await self._c.execute(insert(t.reservation).values(**row).on_conflict_do_nothing())
        owner = (
            await self._c.execute(
                select(t.reservation.c.lane, t.reservation.c.purpose).where(t.reservation.c.resource == resource)
            )
        ).one()
        return (owner.lane, owner.purpose) == (lane, purpose)

    async def put_blob(self, data: bytes) -> str:
        """Named by content: storing twice is storing once."""
        name = hashlib.sha256(data).hexdigest()
        await self._c.execute(insert(t.blob).values(name=name, bytes=data).on_conflict_do_nothing())
        return name

    async def fire_timers(self, wall: UnixTime, domain: UnixTime, height: int) -> Sequence[str]:
        """Due timers are removed as they fire."""
        lanes: set[str] = set()
        for name, value in (("wall", wall), ("domain", domain), ("height", height)):
            rows = await self._c.execute(
                delete(t.timer).where(t.timer.c.name == name, t.timer.c.due <= value).returning(t.timer.c.lane)
            )
            lanes.update(row.lane for row in rows)
        return sorted(lanes)

    async def count(self, table: str) -> int:
        """Rows of a table, for tests and the doctor."""
        return int(await self._c.scalar(select(func.count()).select_from(t.metadata.tables[table])) or 0)
