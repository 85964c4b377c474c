"""Rows that tests of the store write and read."""

from __future__ import annotations

from coordinator.domain.facts import Fact
from coordinator.ports.bitcoin import Block
from coordinator.ports.following import BlockHeader
from coordinator.ports.store import Store
from coordinator_core.units import Height, UnixTime

NOW = UnixTime(1_000)
STATE = b'{"state":"created"}'
STEP = [("created", "collecting_entries", "terms published")]


def block(height: int, branch: str = "a") -> Block:
    """An empty block on the one below it of the same branch."""
    return Block(Height(height), f"{branch}{height}", f"{branch}{height - 1}", UnixTime(height), UnixTime(height), ())


def header(made: Block) -> BlockHeader:
    """What the store keeps of a block."""
    return BlockHeader(made.height, made.block_hash, made.time, made.median_time_past)


async def put(store: Store, *facts: Fact) -> bool:
    """Put facts into `lane`; whether anything changed."""
    async with store.write() as tx:
        return await tx.put_facts("lane", facts, "test", NOW)


async def want(store: Store, *names: str, now: float = 0.0) -> None:
    """Have `lane` want these duties and no others; the channel is what comes before the dot."""
    async with store.write() as tx:
        wanted = {f"lane/{name}": (name.partition(".")[0], name, b'{"kind":"x"}') for name in names}
        await tx.want_duties("lane", wanted, now)


async def claim(store: Store, now: float = 0.0, owner: str = "me", **limits: int) -> list[str]:
    """Lease what is due; its kinds."""
    async with store.write() as tx:
        rows = await tx.claim(now, 30.0, owner, limits or {"chain": 9, "ln": 9})
    return sorted(row.kind for row in rows)
