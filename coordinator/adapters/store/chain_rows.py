"""Blocks, hits and watches: the chain cursor moves only with the hits it stands for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from coordinator.adapters.store import tables as t
from coordinator.ports.bitcoin import Block
from coordinator.ports.following import BlockHeader, Hit, Search, Watch
from coordinator_core.units import Height

KEYS_AT_ONCE: Final = 8_000
"""Below the number of parameters that SQLite (from 3.32 on) and PostgreSQL take."""


class ChainRows:
    """The chain part of a write transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def add_hits(self, block: BlockHeader, hits: Sequence[Hit]) -> bool:
        """See ports.store.Transaction."""
        known = await self._c.scalar(select(t.chain_block.c.height).where(t.chain_block.c.hash == block.block_hash))
        if known is None:
            return False
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
            # A hit that is known stays: a block may be searched twice.
            await self._c.execute(insert(t.chain_hit).on_conflict_do_nothing(), rows)
        return True

    async def watching(self, transactions: Collection[str], outpoints: Collection[str]) -> Sequence[tuple[str, Watch]]:
        """By the primary key, however many watches there are. Sorted keys read neighbouring pages one after another."""
        return [*await self._watching("t", sorted(transactions)), *await self._watching("o", sorted(outpoints))]

    async def _watching(self, keytype: str, keys: Sequence[str]) -> list[tuple[str, Watch]]:
        c = t.watch.c
        found: list[tuple[str, Watch]] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            rows = await self._c.execute(select(c.lane, c.key).where(c.keytype == keytype, c.key.in_(some)))
            found.extend((row.lane, Watch(keytype, row.key)) for row in rows)
        return found

    async def searched(self, searches: Sequence[Search], upto: Height) -> None:
        """One that is above the cursor has no past left; what comes is looked for with each block."""
        done = int(upto > await self._cursor())
        for search in searches:
            await self._c.execute(
                update(t.watch)
                .where(
                    t.watch.c.keytype == search.watch.keytype,
                    t.watch.c.key == search.watch.key,
                    t.watch.c.lane == search.lane,
                    # Set to an earlier height meanwhile: that is still to be searched.
                    t.watch.c.next_height == search.height,
                )
                .values(next_height=upto, backfilled=done)
            )

    async def _cursor(self) -> int:
        top = await self._c.scalar(select(func.max(t.chain_block.c.height)))
        return -1 if top is None else int(top)

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

    async def keep_block(self, block: Block) -> bool:
        """A block of the past comes back with its hits: it was forgotten, or is older than the database."""
        c = t.chain_block.c
        stored = await self._c.scalar(select(c.hash).where(c.height == block.height))
        if stored is None and block.height < await self._cursor():
            await self.add_block(block)
            return True
        return stored == block.block_hash

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
