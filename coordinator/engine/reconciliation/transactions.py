"""Transactions that were built, against what the node says of them.

What is confirmed here needs no question of its own: once the chain cursor is the node's tip, every block that it was
read from is a block of the node's chain.
"""

from __future__ import annotations

from coordinator.domain.facts import Built
from coordinator.engine.reconciliation.ground import Ground
from coordinator.ports.bitcoin import Outpoint, Place
from coordinator.ports.faults import Unreachable
from coordinator.ports.following import BlockHeader
from coordinator_core.errors import Fault


async def compare_transactions(ground: Ground) -> None:
    """Every transaction that is not confirmed here, of every competition that is not over. Raises PortError, also while
    the chain loop is behind: then nothing can be said.
    """
    cursor = await in_step(ground)
    async for book in ground.competitions(Built):
        for built in book.facts.all(Built):
            if built.txid in book.confirmed:
                continue
            ground.beat()
            ground.looked_at += 1
            status = await ground.services.chain.transaction_status(built.txid)
            if status.place is Place.CHAIN and status.height is not None and status.height <= cursor.height:
                await ground.search_again(book.lane, f"{built.role} {built.txid} is in the chain")
                break


async def in_step(ground: Ground) -> BlockHeader:
    """The chain cursor, once it is the node's tip. Raises PortError before, and asks the chain loop to follow now."""
    node, cursor = await ground.services.chain.tip(), await ground.services.clock.tip()
    if node.block_hash != cursor.block_hash:
        ground.wakeups.chain.set()
        raise Unreachable(
            "chain", f"block {node.height} is not read yet, the last one is {cursor.height}", fault=Fault.COORDINATOR
        )
    return cursor


def outpoint(text: str) -> Outpoint:
    """From TXID:VOUT, as facts and reservations write it."""
    txid, _, vout = text.partition(":")
    return Outpoint(txid, int(vout))
