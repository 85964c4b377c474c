"""What blocks mean for competitions: hits of their watches, and the past of watches that are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import structlog

from coordinator.engine.chain.fetching import Prefetch
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.bitcoin import Block, Chain
from coordinator.ports.following import BlockHeader, Hit, Search, Watch
from coordinator.ports.store import InboxClass, Store, Transaction
from coordinator_core.units import Height

SEARCHED_AT_ONCE: Final = 32
"""Blocks of the past between two looks at the tip, and the most that a killed search reads again."""

Wanted = Mapping[str, Sequence[tuple[str, Watch]]]
"""(lane, watch) by what is looked for: a txid or a "txid:vout"."""

log = structlog.get_logger()


def header_of(block: Block) -> BlockHeader:
    """What is kept of a block."""
    return BlockHeader(block.height, block.block_hash, block.time, block.median_time_past)


def keys_of(block: Block) -> tuple[dict[str, str], dict[str, str]]:
    """Txids, and outpoints that are spent as "txid:vout", each with the txid of the transaction that it belongs to."""
    transactions = {transaction.txid: transaction.txid for transaction in block.transactions}
    spends = {str(outpoint): t.txid for t in block.transactions for outpoint in t.spends}
    return transactions, spends


def find_hits(keys: Mapping[str, str], wanted: Wanted) -> list[Hit]:
    """Everything that is looked for and that is among the keys of a block. A spend counts whoever made it: a
    transaction that nobody here knows is seen by its txid, and never dropped.
    """
    found = sorted(wanted.keys() & keys.keys())
    return [Hit(lane, watch, keys[key]) for key in found for lane, watch in wanted[key]]


async def add_hits(tx: Transaction, blocks: Sequence[Block]) -> set[str]:
    """Write the hits of stored blocks; the lanes that have one. One look-up for all blocks: its cost follows them, not
    the number of watches.
    """
    keys = [keys_of(block) for block in blocks]
    transactions = [txid for held, _ in keys for txid in held]
    wanted = _by_key(await tx.watching(transactions, [outpoint for _, spent in keys for outpoint in spent]))
    lanes: set[str] = set()
    for block, (held, spent) in zip(blocks, keys, strict=True):
        if wanted and (hits := find_hits(held | spent, wanted)):
            await tx.add_hits(header_of(block), hits)
            lanes.update(hit.lane for hit in hits)
    return lanes


class Past:
    """Watches that are set late look back from the height from which they have to be looked for: what they wait for may
    be in a block that was stored before them. A slice at a time, each slice in one transaction with how far it came.
    """

    def __init__(self, store: Store, chain: Chain, clock: Clockwork, wakeups: Wakeups) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._prefetch = Prefetch(chain)

    async def step(self) -> bool:
        """Search one slice; False when there is nothing to search. Raises faults.PortError."""
        searches = await self._store.unfilled_watches()
        if not searches:
            await self._prefetch.aclose()
            return False
        cursor, first = await self._clock.tip(), searches[0].height
        last = Height(min(cursor.height, first + SEARCHED_AT_ONCE - 1))
        blocks = await self._slice(first, last)
        if blocks is None:
            return False
        await self._write([search for search in searches if search.height <= max(first, last)], blocks)
        return True

    async def aclose(self) -> None:
        """Forget the blocks that were asked for."""
        await self._prefetch.aclose()

    async def _slice(self, first: Height, last: Height) -> Sequence[Block] | None:
        """The blocks from `first` to `last`, each following the one before; None while the node changes its mind."""
        blocks: list[Block] = []
        while first + len(blocks) <= last:
            height = Height(first + len(blocks))
            taken = await self._prefetch.take(height, last, last - height + 1)
            if not taken:
                return None
            blocks.extend(taken)
        linked = all(b.previous_hash == a.block_hash for a, b in pairwise(blocks))
        return blocks if linked else None

    async def _write(self, searches: Sequence[Search], blocks: Sequence[Block]) -> None:
        wanted = _by_key([(search.lane, search.watch) for search in searches])
        found = [(block, hits) for block in blocks if (hits := find_hits(merged(block), wanted))]
        upto = Height(blocks[-1].height + 1) if blocks else searches[0].height
        lanes: set[str] = set()
        async with self._store.write() as tx:
            for block, hits in found:
                # One that is not of our branch will be rolled back, and what takes its place is looked at then.
                if await tx.keep_block(block):
                    await tx.add_hits(header_of(block), hits)
                    lanes.update(hit.lane for hit in hits)
            await tx.searched(searches, upto)
            await tx.wake_lanes(sorted(lanes), InboxClass.BLOCK, "chain", "block", self._clock.wall())
        if lanes:
            self._wakeups.apply.set()


def merged(block: Block) -> Mapping[str, str]:
    """All keys of a block; no outpoint looks like a txid."""
    held, spent = keys_of(block)
    return held | spent


def _by_key(wanted: Sequence[tuple[str, Watch]]) -> Wanted:
    found: dict[str, list[tuple[str, Watch]]] = {}
    for lane, watch in wanted:
        found.setdefault(watch.key, []).append((lane, watch))
    return found
