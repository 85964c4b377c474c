"""Loading a lane: state, facts and chain hits in three reads."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.domain.facts import AnyFact, FactBook
from coordinator.domain.lane import SpendSeen
from coordinator.ports.store import LaneRecord
from coordinator_core.units import Height, UnixTime

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
