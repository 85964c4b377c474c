"""What follows from a state: duties and watches (timers: `timing`). Compared with what is stored first, and only the
difference is written: a competition that is looked at and stays as it is costs no write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import statements as st
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prepared import in_one_trip
from coordinator.domain.duties import urgency_of
from coordinator.domain.versions import DUTIES
from coordinator.ports import correlation
from coordinator.ports.store import Watch
from coordinator_core.units import Height

REOPEN_SECONDS = 0.5
ENDED = ("done", "obsolete")


class Following:
    """The part of a write transaction that follows a state."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def want_duties(
        self,
        lane: str,
        wanted: Mapping[str, tuple[str, str, bytes]],
        now: float,
        protective: Collection[str] = (),
    ) -> None:
        """One row for each duty id, opened again when it is wanted again; a dead one stays dead until an operator opens
        it, or nobody wants it any more.
        """
        request = correlation.current()

        def differ(raw: sqlite3.Connection) -> dict[str, tuple[str, str, int]]:
            known = _known(raw, lane, wanted)
            gone = [name for name, row in known.items() if name not in wanted and row[1] not in ENDED]
            st.DROP_DUTY.run_many(raw, [{"name": name, "ended": "obsolete", "at": int(now)} for name in gone])
            fresh = [name for name in wanted if name not in known]
            st.OPEN_DUTY.run_many(
                raw, [_row(name, lane, *wanted[name], now, name in protective, request) for name in fresh]
            )
            return known

        known = await in_one_trip(self._c, differ)
        for name in known.keys() & wanted.keys():
            await self._again(known[name], wanted[name], now, name in protective)

    async def _again(
        self, row: tuple[str, str, int], wanted: tuple[str, str, bytes], now: float, protective: bool
    ) -> None:
        name, status, protected = row
        values: dict[str, Any] = {} if bool(protected) is protective else {"protective": int(protective)}
        if status in ENDED:
            # Wanted again after it became obsolete, or done without the fact it was to produce (a reorg took it back):
            # that one waits a moment, so that a duty which never produces its fact cannot spin.
            due = now + REOPEN_SECONDS if status == "done" else now
            _, kind, args = wanted
            values |= {"status": "open", "args": args, "v": DUTIES.version(kind), "due_at": due}
            values |= {"failures": 0, "defects": 0, "done_at": None, "request_id": correlation.current()}
        if values:
            await self._c.execute(update(t.duty).where(t.duty.c.id == name).values(**values))

    async def set_watches(self, lane: str, watches: Mapping[Watch, Height]) -> None:
        """Known watches keep what was searched for them, unless they have to be looked for earlier now."""
        if not watches:
            return
        known = await in_one_trip(self._c, lambda raw: _known_watches(raw, lane, watches))
        fresh = {watch: since for watch, since in watches.items() if watch not in known}
        earlier = {watch: since for watch, since in watches.items() if since < known.get(watch, since)}
        if not fresh and not earlier:
            return
        cursor = await self._c.scalar(select(func.max(t.chain_block.c.height)))
        rows = [_watch(lane, watch, since, cursor) for watch, since in (fresh | earlier).items()]
        written = insert(t.watch)
        await self._c.execute(
            written.on_conflict_do_update(
                index_elements=["keytype", "key", "lane"],
                set_={name: written.excluded[name] for name in ("since_height", "next_height", "backfilled")},
            ),
            rows,
        )


def _watch(lane: str, watch: Watch, since: Height, cursor: int | None) -> dict[str, object]:
    """What is looked for only from the next block on has no past to be searched."""
    row = {"lane": lane, "keytype": watch.keytype, "key": watch.key, "since_height": since, "next_height": since}
    return {**row, "backfilled": int(cursor is not None and since > cursor)}


def _known_watches(raw: sqlite3.Connection, lane: str, watches: Collection[Watch]) -> dict[Watch, Height]:
    """From which block on each is looked for. By the primary key: the table holds those of every competition."""
    found = ((w, st.KNOWN_WATCH.run(raw, {"of": lane, "type": w.keytype, "name": w.key}).fetchone()) for w in watches)
    return {watch: Height(row[0]) for watch, row in found if row is not None}


def _known(raw: sqlite3.Connection, lane: str, wanted: Collection[str]) -> dict[str, tuple[str, str, int]]:
    """Rows of a lane that are not ended, and the ended ones among those that are wanted."""
    found = {row[0]: row for row in st.LIVE_DUTIES.run(raw, {"of": lane})}
    for name in wanted:
        if name not in found and (row := st.NAMED_DUTY.run(raw, {"of": lane, "name": name}).fetchone()) is not None:
            found[name] = row
    return found


def _row(
    name: str, lane: str, channel: str, kind: str, args: bytes, now: float, protective: bool, request: str
) -> dict[str, object]:
    row = {"id": name, "lane": lane, "channel": channel, "kind": kind, "args": args, "created_at": int(now)}
    fresh = {"status": "open", "attempts": 0, "failures": 0, "due_at": now, "fence": 0, "request_id": request}
    fresh |= {"v": DUTIES.version(kind), "urgency": int(urgency_of(kind))}
    return {**row, **fresh, "protective": int(protective)}
