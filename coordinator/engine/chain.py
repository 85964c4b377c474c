"""The chain loop: block by block along the previous hash; cursor, hits and inbox rows of a block in one transaction."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping

import structlog

from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.bitcoin import Block, Chain, Outpoint, Place
from coordinator.ports.faults import PortError
from coordinator.ports.store import BlockHeader, Hit, Store, Watch
from coordinator_core.units import Height

BLOCK_PRIORITY = 2

log = structlog.get_logger()


class ChainLoop:
    """Follows the best chain from the height at which the database was made."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        clock: Clockwork,
        wakeups: Wakeups,
        *,
        poll_seconds: float,
        vitals: Vitals | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._chain = chain
        self._clock = clock
        self._wakeups = wakeups
        self._poll = poll_seconds

    async def run(self) -> None:
        """Follow for ever; an unreachable node is waited for."""
        while True:
            self._vitals.beat(Child.CHAIN)
            try:
                moved = await self.step()
            except PortError as error:
                log.warning("chain unreachable", error=str(error))
                self._wakeups.probe.set()
                moved = False
            if not moved:
                await asyncio.sleep(self._poll)

    async def start(self) -> None:
        """Make sure that a cursor exists: the node's tip when the database is new."""
        if await self._store.tip() is None:
            tip = await self._chain.tip()
            block = await self._chain.block_at(tip.height)
            if block is not None:
                async with self._store.write() as tx:
                    await tx.add_block(block)
        self._clock.moved(await self._store.tip())

    async def step(self) -> bool:
        """One block forward, or one back; False at the tip."""
        await self._backfill()
        cursor = await self._clock.tip()
        block = await self._chain.block_at(Height(cursor.height + 1))
        if block is None:
            return await self._tip_was_replaced(cursor) and await self._roll_back(cursor)
        if block.previous_hash != cursor.block_hash:
            return await self._roll_back(cursor)
        await self._forward(block)
        return True

    async def _tip_was_replaced(self, cursor: BlockHeader) -> bool:
        same = await self._chain.block_at(cursor.height)
        return same is None or same.block_hash != cursor.block_hash

    async def _forward(self, block: Block) -> None:
        hits = find_hits(block, await self._store.watched())
        header = BlockHeader(block.height, block.block_hash, block.time, block.median_time_past)
        wall = self._clock.wall()
        async with self._store.write() as tx:
            await tx.add_block(block)
            await tx.add_hits(header, hits)
            lanes = {hit.lane for hit in hits}
            domain = block.time if self._clock.chain_time else wall
            lanes.update(await tx.fire_timers(wall, domain, block.height))
            for lane in sorted(lanes):
                await tx.notify(lane, BLOCK_PRIORITY, "chain", _once(), "block", wall)
        self._clock.moved(header)
        self._wakeups.apply.set()

    async def _roll_back(self, cursor: BlockHeader) -> bool:
        log.warning("reorg", height=cursor.height, block=cursor.block_hash)
        wall = self._clock.wall()
        # Below the block at which the database was made nothing is stored: the node's own block is the new start.
        first = await self._store.tip(first=True)
        below = first is not None and first.height == cursor.height
        base = await self._chain.block_at(Height(cursor.height - 1)) if below else None
        if below and base is None:
            log.warning("the node's chain is shorter than ours: waiting", height=cursor.height)
            return False
        async with self._store.write() as tx:
            lanes = set(await tx.drop_tip())
            # Depth became less: everyone who waits for the next block looks again.
            domain = cursor.time if self._clock.chain_time else wall
            lanes.update(await tx.fire_timers(wall, domain, Height(cursor.height + 1)))
            for lane in sorted(lanes):
                await tx.notify(lane, BLOCK_PRIORITY, "chain", _once(), "reorg", wall)
            if base is not None:
                await tx.add_block(base)
        self._vitals.meters.reorgs.add()
        self._clock.moved(await self._store.tip())
        self._wakeups.apply.set()
        return True

    async def _backfill(self) -> None:
        """New watches look back: what they wait for may be in a block that was processed before they were set."""
        unfilled = await self._store.unfilled_watches()
        for lane, watch in unfilled:
            found = await self._find(watch)
            cursor = await self._clock.tip()
            async with self._store.write() as tx:
                if found is not None and found[1].height <= cursor.height:
                    if not await tx.add_hits(found[1], [Hit(lane, watch, found[0])]):
                        # The node is on another branch than the cursor: searched again after the roll back.
                        continue
                    await tx.notify(lane, BLOCK_PRIORITY, "chain", _once(), "block", self._clock.wall())
                await tx.mark_backfilled(lane, watch)
        if unfilled:
            self._wakeups.apply.set()

    async def _find(self, watch: Watch) -> tuple[str, BlockHeader] | None:
        if watch.keytype == "t":
            txid, status = watch.key, await self._chain.transaction_status(watch.key)
        else:
            spend = await self._chain.spend_of(Outpoint(*_split(watch.key)))
            if spend is None:
                return None
            txid, status = spend.txid, spend.status
        if status.place is not Place.CHAIN or status.height is None:
            return None
        block = await self._chain.block_at(status.height)
        if block is None:
            return None
        return txid, BlockHeader(block.height, block.block_hash, block.time, block.median_time_past)


def _once() -> str:
    """A key of its own for each notification: the same block can be connected twice, and has to be heard twice."""
    return uuid.uuid4().hex


def _split(outpoint: str) -> tuple[str, int]:
    txid, _, vout = outpoint.partition(":")
    return txid, int(vout)


def find_hits(block: Block, watched: Mapping[Watch, frozenset[str]]) -> list[Hit]:
    """Every watch that a block satisfies. Cost follows the block's size, not the number of watches."""
    hits: list[Hit] = []
    for transaction in block.transactions:
        keys = [Watch("t", transaction.txid), *(Watch("o", str(outpoint)) for outpoint in transaction.spends)]
        for watch in keys:
            hits.extend(Hit(lane, watch, transaction.txid) for lane in watched.get(watch, ()))
    return hits
