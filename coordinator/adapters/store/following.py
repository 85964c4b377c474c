"""What follows from a state: duties and watches (timers: `timing`). Compared with what is stored first, and only the
difference is written: a competition that is looked at and stays as it is costs no write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import statements as st
from coordinator.adapters.store.prepared import with_next_trip
from coordinator.domain.duties import urgency_of
from coordinator.domain.versions import DUTIES
from coordinator.ports import correlation
from coordinator.ports.following import Watch
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

        def follow(raw: sqlite3.Connection) -> None:
            known = _known(raw, lane, wanted)
            gone = [name for name, row in known.items() if name not in wanted and row[1] not in ENDED]
            st.DROP_DUTY.run_many(raw, [{"name": name, "ended": "obsolete", "at": int(now)} for name in gone])
            fresh = [name for name in wanted if name not in known]
            st.OPEN_DUTY.run_many(
                raw, [_row(name, lane, *wanted[name], now, name in protective, request) for name in fresh]
            )
            for name in known.keys() & wanted.keys():
                _again(raw, known[name], wanted[name], now, int(name in protective), request)

        await with_next_trip(self._c, follow)

    async def set_watches(self, lane: str, watches: Mapping[Watch, Height]) -> None:
        """Known watches keep what was searched for them, unless they have to be looked for earlier now."""

        def differ(raw: sqlite3.Connection) -> None:
            known = _known_watches(raw, lane, watches)
            changed = {w: since for w, since in watches.items() if w not in known or since < known[w]}
            if changed:
                (cursor,) = st.HIGHEST.run(raw, {}).fetchone()
                st.PUT_WATCH.run_many(raw, [_watch(lane, watch, since, cursor) for watch, since in changed.items()])

        if watches:
            await with_next_trip(self._c, differ)


def _again(
    raw: sqlite3.Connection,
    row: tuple[str, str, int],
    wanted: tuple[str, str, bytes],
    now: float,
    protective: int,
    request: str,
) -> None:
    """A duty that is known is opened again when it ended, and protects from now on or no longer."""
    name, status, protected = row
    if status in ENDED:
        # Wanted again after it became obsolete, or done without the fact it was to produce (a reorg took it back):
        # that one waits a moment, so that a duty which never produces its fact cannot spin.
        due = now + REOPEN_SECONDS if status == "done" else now
        _, kind, args = wanted
        values = {"protective": protective, "args": args, "v": DUTIES.version(kind), "due_at": due}
        values["request_id"] = request
        st.REOPEN_DUTY.run(raw, {"name": name, **{f"new_{column}": value for column, value in values.items()}})
    elif protected != protective:
        st.PROTECT_DUTY.run(raw, {"name": name, "new_protective": protective})


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
