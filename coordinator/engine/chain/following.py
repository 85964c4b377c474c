"""The chain loop: the best chain along its previous hashes; cursor, hits and inbox rows of a block in one transaction.

The node is asked every few seconds, and that is the truth: nothing is lost with a notification. Far behind, blocks are
asked for ahead and stored up to 32 in a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import structlog

from coordinator.engine import backoff
from coordinator.engine.chain.fetching import Prefetch
from coordinator.engine.chain.lookout import Lookout
from coordinator.engine.chain.watching import Past, add_hits, header_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.ports.bitcoin import Block, Chain, Tip
from coordinator.ports.faults import Garbled, PortError, Unsuitable
from coordinator.ports.following import BlockHeader
from coordinator.ports.store import InboxClass, Store
from coordinator_core.errors import Fault
from coordinator_core.units import Height

STORED_AT_ONCE: Final = 32
"""Blocks in one transaction while catching up: the most that a kill takes back."""

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
        lookout: Lookout | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._chain = chain
        self._clock = clock
        self._wakeups = wakeups
        self._poll = poll_seconds
        self._lookout = lookout or Lookout(self._vitals.clock, clock.wall, development=clock.chain_time)
        self._ahead = Prefetch(chain)
        self._past = Past(store, chain, clock, wakeups)

    async def run(self) -> None:
        """Follow for ever; an unreachable node is waited for, one that says nonsense is asked again."""
        failures = 0
        # A life that was cut off in the middle of its commit does not know whether that was made.
        self._stands(await self._store.tip())
        async with aclosing(self._ahead), aclosing(self._past):
            while True:
                self._vitals.beat(Child.CHAIN)
                try:
                    moved, failures = await self.step(), 0
                except PortError as error:
                    self._note(error)
                    moved, failures = False, failures + 1
                if not moved:
                    pause = min(self._poll, backoff.pause(failures)) if failures else self._poll
                    await wait(self._wakeups.chain, pause)

    async def start(self) -> None:
        """Make sure that a cursor exists: the node's tip when the database is new."""
        if await self._store.tip() is None:
            tip = await self._chain.tip()
            block = await self._chain.block_at(tip.height)
            if block is not None:
                async with self._store.write() as tx:
                    await tx.add_block(block)
        self._stands(await self._store.tip())

    async def step(self) -> bool:
        """Forward along the chain, or one block back, and then a slice of the past; False when there was nothing to do.

        Raises faults.PortError: nothing of what it could not do was done.
        """
        moved = await self._follow()
        return await self._past.step() or moved

    async def _follow(self) -> bool:
        cursor, node = await self._clock.tip(), await self._chain.tip()
        self._lookout.heard(node.known, node.time)
        if node.block_hash == cursor.block_hash:
            self._stands(cursor)
            self._wakeups.in_step.set()
            return False
        if await self._was_left(cursor, node):
            return await self._roll_back(cursor)
        if node.height <= cursor.height:
            return False
        blocks = await self._ahead.take(Height(cursor.height + 1), node.height, STORED_AT_ONCE)
        await self._forward(_linked(cursor, blocks))
        return bool(blocks)

    async def _was_left(self, cursor: BlockHeader, node: Tip) -> bool:
        """Whether the node's best chain goes on without our last block."""
        if node.height < cursor.height <= node.known:
            # It lost blocks that it is fetching again: they are likely the ones we have.
            return False
        return await self._chain.hash_at(cursor.height) != cursor.block_hash

    async def _forward(self, blocks: Sequence[Block]) -> None:
        if not blocks:
            return
        last, wall = blocks[-1], self._clock.wall()
        async with self._store.write() as tx:
            for block in blocks:
                await tx.add_block(block)
            lanes = await add_hits(tx, blocks)
            domain = last.time if self._clock.chain_time else wall
            lanes.update(await tx.fire_timers(wall, domain, last.height, median=last.median_time_past))
            await tx.wake_lanes(sorted(lanes), InboxClass.BLOCK, "chain", "block", wall)
        self._stands(header_of(last), moved=True)
        self._vitals.meters.blocks.add(amount=len(blocks))
        self._wakeups.apply.set()

    async def _roll_back(self, cursor: BlockHeader) -> bool:
        log.warning("reorg", height=cursor.height, block=cursor.block_hash)
        await self._ahead.aclose()
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
            await tx.wake_lanes(sorted(lanes), InboxClass.BLOCK, "chain", "reorg", wall)
            if base is not None:
                await tx.add_block(base)
        # Until the new tip is read nobody may count by the height that was just dropped.
        self._clock.moved(None)
        self._vitals.meters.reorgs.add()
        self._stands(await self._store.tip(), moved=True)
        self._wakeups.apply.set()
        return True

    def _stands(self, cursor: BlockHeader | None, *, moved: bool = False) -> None:
        self._clock.moved(cursor)
        if cursor is not None:
            self._lookout.stored(cursor.height, moved=moved)

    def _note(self, error: PortError) -> None:
        """What became of a question that failed, for whoever asks how well the chain is followed."""
        if isinstance(error, Garbled):
            log.warning("chain refused", reason=error.reason)
            self._vitals.meters.refused.add()
            self._lookout.refused(error.reason)
            return
        log.warning("chain unreachable", error=str(error))
        if isinstance(error, Unsuitable):
            self._lookout.unsuitable(error.reason)
        else:
            self._lookout.silent()
        self._wakeups.probe.set()


def _linked(cursor: BlockHeader, blocks: Sequence[Block]) -> Sequence[Block]:
    """Blocks that follow the cursor one after the other, up to the first that does not. Raises Garbled when not even
    the first one does: the node just said that ours is of its chain, so it changed its mind, or contradicts itself.
    """
    previous = cursor.block_hash
    for number, block in enumerate(blocks):
        if block.previous_hash != previous:
            if number == 0:
                reason = f"block {block.height} does not follow the one before"
                raise Garbled("chain", reason, fault=Fault.NODE)
            return blocks[:number]
        previous = block.block_hash
    return blocks
