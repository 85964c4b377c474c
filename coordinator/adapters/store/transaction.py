"""One write transaction on SQLite: the statements behind ports.store.Transaction."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence

import msgspec
from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import statements as st
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.alerting import AlertStatements
from coordinator.adapters.store.auditing import AuditStatements
from coordinator.adapters.store.chain_rows import ChainRows
from coordinator.adapters.store.claiming import due_duties, most_urgent
from coordinator.adapters.store.following import Following
from coordinator.adapters.store.operating import OperatorStatements
from coordinator.adapters.store.prepared import in_one_trip
from coordinator.adapters.store.reading import load_lane
from coordinator.adapters.store.timing import TimerStatements
from coordinator.domain.facts import Fact
from coordinator.domain.versions import FACTS, STATES
from coordinator.ports import correlation
from coordinator.ports.leasing import NOBODY, Choose, DutyRow
from coordinator.ports.store import LaneRecord
from coordinator_core.errors import Misuse
from coordinator_core.units import UnixTime

NEW, DONE, PARKED = st.NEW, st.DONE, 2


class StaleRevision(Misuse):
    """A lane changed between load and save: the single writer was bypassed."""

    code = "store.stale_revision"


class SqliteTransaction(AlertStatements, ChainRows, Following, OperatorStatements, TimerStatements, AuditStatements):
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
        tag = steps[-1][1]
        moved = {"of": record.id, "known": record.rev, "next": rev, "ended": now if terminal else None}
        row = {"state": tag, "v": STATES.version(tag), "rev": rev, "data": state, "entered_at": now}
        rows = [
            {"lane": record.id, "from_state": a, "to_state": b, "rev": record.rev + n, "reason": why, "at": now}
            for n, (a, b, why) in enumerate(steps, start=1)
        ]

        def save(raw: sqlite3.Connection) -> bool:
            if st.MOVE_LANE.run(raw, moved).rowcount != 1:
                return False
            st.MOVE_STATE.run(raw, {"of": record.id, **{f"new_{name}": row[name] for name in row}})
            st.LOG_STEP.run_many(raw, rows)
            return True

        if not await in_one_trip(self._c, save):
            raise StaleRevision(f"lane {record.id} is not at revision {record.rev}")

    async def put_facts(self, lane: str, facts: Sequence[Fact], source: str, now: UnixTime) -> bool:
        """An equal body counts as no change. In one trip, however many they are."""

        def put(raw: sqlite3.Connection) -> bool:
            kinds: dict[bool, list[dict[str, object]]] = {False: [], True: []}
            for fact in facts:
                if fact.repeatable and _is_late(raw, lane, fact):
                    continue
                row = {"lane": lane, "kind": fact.kind(), "key": fact.key, "body": msgspec.json.encode(fact)}
                kinds[fact.repeatable].append(row | {"v": fact.version, "source": source, "observed_at": now})
            new, changed = st.PUT_ONCE.run_many(raw, kinds[False]), st.PUT_AGAIN.run_many(raw, kinds[True])
            return new > 0 or changed > 0

        return await in_one_trip(self._c, put)

    async def notify(self, lane: str, prio: int, source: str, dkey: str, kind: str, now: UnixTime) -> int | None:
        """(source, dkey) is unique in the inbox."""
        row: dict[str, object] = {"lane": lane, "prio": prio, "source": source, "dkey": dkey, "kind": kind}
        row["received_at"] = now
        row["request_id"] = correlation.current() or correlation.fresh()
        put = await in_one_trip(self._c, lambda raw: st.NOTIFY.run(raw, {**row, "status": NEW}).fetchone())
        return None if put is None else int(put[0])

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
        row = await in_one_trip(self._c, lambda raw: st.CAUSE.run(raw, {"of": lane}).fetchone())
        return "" if row is None else str(row[0])

    async def finish_inbox(self, lane: str, now: UnixTime) -> int:
        """Only rows that are still new."""
        return await in_one_trip(self._c, lambda raw: st.FINISH.run(raw, {"of": lane, "at": now}).rowcount)

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

    async def claim(
        self,
        now: float,
        lease: float,
        owner: str,
        limits: Mapping[str, int],
        *,
        full: Mapping[str, Collection[str]] = NOBODY,
        choose: Choose | None = None,
    ) -> Sequence[DutyRow]:
        """The lease ends by itself; the fence tells a late worker that it is late."""
        due = await due_duties(self._c, now, limits, full)
        chosen = most_urgent(due, limits) if choose is None else choose(due)
        if not chosen:
            return []
        rows = await self._c.execute(st.LEASE, {"names": list(chosen), "by": owner, "until": now + lease})
        return [DutyRow(*row) for row in rows]

    async def extend(self, owner: str, until: float, ids: Collection[str]) -> Mapping[str, int]:
        """A lease that ended and that nobody took is still its own."""
        mine = (t.duty.c.id.in_(ids), t.duty.c.owner == owner, text("status = 'open'"))
        rows = await self._c.execute(
            update(t.duty).where(*mine).values(due_at=until).returning(t.duty.c.id, t.duty.c.fence)
        )
        return {row.id: row.fence for row in rows}

    async def end_leases(self, now: float, owner: str | None = None) -> int:
        """The file lock says that an earlier owner is gone; the next claim still raises the fence."""
        held = t.duty.c.owner.is_not(None) if owner is None else t.duty.c.owner == owner
        done = await self._c.execute(update(t.duty).where(held, text("status = 'open'")).values(owner=None, due_at=now))
        return done.rowcount

    async def set_back(self, now: float, seconds: float) -> int:
        """One statement: a lease ends at the `due_at` of its duty."""
        waits = (t.duty.c.due_at > now, text("status = 'open'"))
        earlier = case((t.duty.c.due_at - seconds > now, t.duty.c.due_at - seconds), else_=now)
        return (await self._c.execute(update(t.duty).where(*waits).values(due_at=earlier))).rowcount

    async def end_long_waits(self, now: float, longest: float) -> int:
        """See ports.store.Transaction."""
        waits = (t.duty.c.due_at > now + longest, text("status = 'open'"))
        return (await self._c.execute(update(t.duty).where(*waits).values(due_at=now))).rowcount

    async def complete(
        self,
        row: DutyRow,
        status: str,
        due_at: float,
        error: str | None,
        now: float,
        defect: str = "",
        *,
        held: bool = False,
    ) -> bool:
        """Compare-and-set on the fence."""
        failures = row.failures + 1 if error is not None else 0
        defects = (row.defects if defect == row.defect else 0) + 1 if defect else 0
        ended = None if status == "open" else int(now)
        outcome = (status, due_at, error, failures, defect, defects, ended)
        values = {f"new_{name}": value for name, value in zip(st.OUTCOME, outcome, strict=True)}
        attempt = {"duty": row.id, "fence": row.fence, "ended_at": now, "outcome": status, "error": error}
        said = held and row.failures > 0 and error == row.error

        def write(raw: sqlite3.Connection) -> bool:
            if st.COMPLETE.run(raw, {"of": row.id, "known": row.fence, **values}).rowcount != 1:
                return False
            if status != "open" or (error is not None and not said):
                st.LOG_ATTEMPT.run(raw, attempt)
            return True

        return await in_one_trip(self._c, write)

    async def lanes_in(self, states: Collection[str]) -> Sequence[str]:
        """By the index of the states."""
        query = select(t.state_row.c.lane).where(t.state_row.c.state.in_(states)).order_by(t.state_row.c.lane)
        return (await self._c.execute(query)).scalars().all()

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

    async def count(self, table: str) -> int:
        """Rows of a table, for tests and the doctor."""
        return int(await self._c.scalar(select(func.count()).select_from(t.metadata.tables[table])) or 0)


def _is_late(raw: sqlite3.Connection, lane: str, fact: Fact) -> bool:
    """True when the row under its key tells of more: see Fact.rank. Raises UnreadableRow."""
    if type(fact).rank is Fact.rank:
        return False
    kind, key = fact.kind(), fact.key
    row = st.FACT.run(raw, {"of": lane, "of_kind": kind, "of_key": key}).fetchone()
    return row is not None and FACTS.decode(kind, row[0], row[1], f"{lane}/{kind}/{key}").rank > fact.rank
