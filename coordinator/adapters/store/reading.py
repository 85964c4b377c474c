"""Reading facts: a lane with its state and chain hits in three reads, and what is asked of all lanes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.domain.facts import AnyFact, FactBook, Payout, PrizeState
from coordinator.domain.lane import SpendSeen
from coordinator.ports.store import F, LaneRecord
from coordinator_core.units import Height, UnixTime

PAYOUT_PAGE = 100

_FACT = msgspec.json.Decoder(AnyFact)


async def load_lane(connection: AsyncConnection, lane: str) -> LaneRecord | None:
    """See ports.store.Transaction.load."""
    query = (
        select(t.state_row.c.data, t.state_row.c.entered_at, t.lane.c.rev, t.lane.c.quarantined_reason)
        .join(t.lane, t.lane.c.id == t.state_row.c.lane)
        .where(t.lane.c.id == lane)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    bodies = await connection.execute(select(t.fact.c.body).where(t.fact.c.lane == lane))
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
        state=row.data,
        entered_at=UnixTime(row.entered_at),
        facts=FactBook(_FACT.decode(body.body) for body in bodies),
        confirmed=confirmed,
        spent=spent,
        quarantined=row.quarantined_reason,
    )


async def load_facts(connection: AsyncConnection, kind: type[F], key: str, since: UnixTime) -> Sequence[F]:
    """See ports.store.Store.facts_of."""
    c = t.fact.c
    query = select(c.body).where(c.kind == kind.kind(), c.observed_at >= since, c.key == key)
    return [msgspec.json.decode(row.body, type=kind) for row in await connection.execute(query)]


async def last_payment(connection: AsyncConnection) -> str | None:
    """See ports.store.Store.last_payment. Page by page from the newest: most payouts end paid."""
    c = t.fact.c
    newest = select(c.body).where(c.kind == Payout.kind()).order_by(c.observed_at.desc(), c.lane, c.key)
    offset = 0
    while rows := (await connection.execute(newest.limit(PAYOUT_PAGE).offset(offset))).all():
        for row in rows:
            payout = msgspec.json.decode(row.body, type=Payout)
            if payout.state is PrizeState.PAID:
                return payout.payment_hash
        offset += PAYOUT_PAGE
    return None
