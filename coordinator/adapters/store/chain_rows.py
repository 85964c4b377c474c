"""Blocks, hits and watches: the chain cursor moves only with the hits it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.ports.bitcoin import Block
from coordinator.ports.store import BlockHeader, Hit, Watch


class ChainRows:
    """The chain part of a write transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def add_hits(self, block: BlockHeader, hits: Sequence[Hit]) -> bool:
        """See ports.store.Transaction."""
        known = await self._c.scalar(select(t.chain_block.c.height).where(t.chain_block.c.hash == block.block_hash))
        if known is None:
            return False
        """A hit that is known stays: a block may be searched twice."""
        rows = [
            {
                "block_hash": block.block_hash,
                "lane": h.lane,
                "keytype": h.watch.keytype,
                "key": h.watch.key,
                "txid": h.txid,
            }
            for h in hits
        ]
        if rows:
            await self._c.execute(insert(t.chain_hit).on_conflict_do_nothing(), rows)
        return True

    async def mark_backfilled(self, lane: str, watch: Watch) -> None:
        """The past was searched for this watch."""
        await self._c.execute(
            update(t.watch)
            .where(t.watch.c.lane == lane, t.watch.c.keytype == watch.keytype, t.watch.c.key == watch.key)
            .values(backfilled=1)
        )

    async def add_block(self, block: Block) -> None:
        """Fails on a height that is taken: the cursor moves one block at a time."""
        await self._c.execute(
            insert(t.chain_block).values(
                height=block.height,
                hash=block.block_hash,
                prev=block.previous_hash,
                time=block.time,
                median_time=block.median_time_past,
            )
        )

    async def drop_tip(self) -> Sequence[str]:
        """The block and its hits go together."""
        top = (
            await self._c.execute(select(t.chain_block).order_by(t.chain_block.c.height.desc()).limit(1))
        ).one_or_none()
        if top is None:
            return ()
        rows = await self._c.execute(
            delete(t.chain_hit).where(t.chain_hit.c.block_hash == top.hash).returning(t.chain_hit.c.lane)
        )
        lanes = sorted({row.lane for row in rows})
        await self._c.execute(delete(t.chain_block).where(t.chain_block.c.height == top.height))
        return lanes
