"""Reading facts: a lane with its state and chain hits in three reads, and what is asked of all lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.domain.facts import FactBook, Payout, PrizeState
from coordinator.domain.lane import SpendSeen
from coordinator.domain.versions import FACTS, STATES
from coordinator.ports.store import F, LaneRecord
from coordinator_core.units import Height, UnixTime

PAYOUT_PAGE = 100


async def load_lane(connection: AsyncConnection, lane: str) -> LaneRecord | None:
    """See ports.store.Transaction.load. Raises UnreadableRow."""
    query = (
        select(
            t.state_row.c.state,
            t.state_row.c.v,
            t.state_row.c.data,
            t.state_row.c.entered_at,
            t.lane.c.rev,
            t.lane.c.quarantined_reason,
        )
        .join(t.lane, t.lane.c.id == t.state_row.c.lane)
        .where(t.lane.c.id == lane)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    columns = select(t.fact.c.kind, t.fact.c.key, t.fact.c.v, t.fact.c.body)
    facts = await connection.execute(columns.where(t.fact.c.lane == lane))
    hits = await connection.execute(
        select(t.chain_hit.c.keytype, t.chain_hit.c.key, t.chain_hit.c.txid, t.chain_block.c.height)
        .join(t.chain_block, t.chain_block.c.hash == t.chain_hit.c.block_hash)
        .where(t.chain_hit.c.lane == lane)
    )
    confirmed: dict[str, Height] = {}
    spent: dict[str, SpendSeen] = {}
    for hit in hits:
        confirmed[hit.txid] = Height(hit.height)
        if hit.keytype == "o":
            spent[hit.key] = SpendSeen(hit.txid, Height(hit.height))
    return LaneRecord(
        id=lane,
        rev=row.rev,
        state=STATES.present(row.state, row.v, row.data, lane),
        entered_at=UnixTime(row.entered_at),
        facts=FactBook(FACTS.decode(f.kind, f.v, f.body, f"{lane}/{f.kind}/{f.key}") for f in facts),
        confirmed=confirmed,
        spent=spent,
        quarantined=row.quarantined_reason,
    )


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
    """See ports.store.Store.last_payment. Page by page from the newest: most payouts end paid."""
    c = t.fact.c
    newest = (
        select(c.lane, c.key, c.v, c.body).where(c.kind == Payout.kind()).order_by(c.observed_at.desc(), c.lane, c.key)
    )
    offset = 0
    while rows := (await connection.execute(newest.limit(PAYOUT_PAGE).offset(offset))).all():
        for row in rows:
            payout = FACTS.decode(Payout.kind(), row.v, row.body, f"{row.lane}/{Payout.kind()}/{row.key}")
            if isinstance(payout, Payout) and payout.state is PrizeState.PAID:
                return payout.payment_hash
        offset += PAYOUT_PAGE
    return None
