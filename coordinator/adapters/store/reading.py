"""Reading facts: a lane with its state and chain hits in three reads, and what is asked of all lanes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import statements as st
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prepared import in_one_trip
from coordinator.domain.facts import FactBook, Payout, PrizeState
from coordinator.domain.lane import SpendSeen
from coordinator.domain.versions import FACTS, STATES, UnreadableRow
from coordinator.ports.store import F, LaneRecord
from coordinator_core.units import Height, UnixTime

PAYOUT_PAGE = 100


async def load_lane(connection: AsyncConnection, lane: str) -> LaneRecord | None:
    """See ports.store.Transaction.load. Raises UnreadableRow."""
    state, facts, hits = await in_one_trip(connection, lambda raw: _read_lane(raw, lane))
    if state is None:
        return None
    tag, v, data, entered_at, rev, quarantined = state
    confirmed: dict[str, Height] = {}
    spent: dict[str, SpendSeen] = {}
    for keytype, key, txid, height in hits:
        confirmed[txid] = Height(height)
        if keytype == "o":
            spent[key] = SpendSeen(txid, Height(height))
    return LaneRecord(
        id=lane,
        rev=rev,
        state=STATES.present(tag, v, data, lane),
        entered_at=UnixTime(entered_at),
        facts=FactBook(FACTS.decode(kind, v, body, f"{lane}/{kind}/{key}") for kind, key, v, body in facts),
        confirmed=confirmed,
        spent=spent,
        quarantined=quarantined,
    )


def _read_lane(raw: sqlite3.Connection, lane: str) -> tuple[Any, list[Any], list[Any]]:
    """State, facts and hits as of one moment."""
    inside = raw.in_transaction
    if not inside:
        raw.execute("BEGIN")
    try:
        which = {"of": lane}
        state = st.LOAD_STATE.run(raw, which).fetchone()
        if state is None:
            return None, [], []
        return state, st.LOAD_FACTS.run(raw, which).fetchall(), st.LOAD_HITS.run(raw, which).fetchall()
    finally:
        if not inside:
            raw.execute("ROLLBACK")


def unfinished() -> ColumnElement[bool]:
    """Of a lane: it is not over, or there is still something to do for it."""
    busy = select(t.duty.c.lane).where(text("status = 'open'"))
    return or_(t.lane.c.terminal_at.is_(None), t.lane.c.id.in_(busy))


def claimable(now: float) -> tuple[ColumnElement[bool], ...]:
    """Duties that may be leased: open, due, and protective where their competition is stopped."""
    stopped = select(t.lane.c.id).where(t.lane.c.quarantined_reason.is_not(None))
    goes_on = or_(t.duty.c.protective == 1, t.duty.c.lane.not_in(stopped))
    return cast("ColumnElement[bool]", text("status = 'open'")), t.duty.c.due_at <= now, goes_on


async def load_facts(connection: AsyncConnection, kind: type[F], key: str, since: UnixTime) -> Sequence[F]:
    """See ports.store.Store.facts_of."""
    c = t.fact.c
    query = select(c.lane, c.v, c.body).where(c.kind == kind.kind(), c.observed_at >= since, c.key == key)
    rows = await connection.execute(query)
    return [cast(F, FACTS.decode(kind.kind(), row.v, row.body, f"{row.lane}/{kind.kind()}/{key}")) for row in rows]


async def last_payment(connection: AsyncConnection) -> str | None:
    """See ports.store.Store.last_payment. Page by page from the newest: most payouts end paid. A row that cannot be
    read stops its own competition; for the others an earlier payment is witness.
    """
    c = t.fact.c
    newest = (
        select(c.lane, c.key, c.v, c.body).where(c.kind == Payout.kind()).order_by(c.observed_at.desc(), c.lane, c.key)
    )
    offset = 0
    while rows := (await connection.execute(newest.limit(PAYOUT_PAGE).offset(offset))).all():
        for row in rows:
            try:
                payout = FACTS.decode(Payout.kind(), row.v, row.body, f"{row.lane}/{Payout.kind()}/{row.key}")
            except UnreadableRow:
                continue
            if isinstance(payout, Payout) and payout.state is PrizeState.PAID:
                return payout.payment_hash
        offset += PAYOUT_PAGE
    return None
