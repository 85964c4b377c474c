"""The Store port: a transaction is written whole or not at all, and one at a time."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from coordinator.ports.store import Store
from coordinator.ports.timing import Wake
from coordinator_core.units import Height
from tests.support import lanes as b
from tests.support.store_rows import NOW, STATE, STEP, block


async def test_everything_or_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="power"):
        await fail_after_every_write(store)
    record = await store.lane("lane")
    assert record is not None
    assert (record.rev, record.state, list(record.facts)) == (0, STATE, [])
    assert await store.transitions("lane") == []
    assert await store.open_duties("lane") == []
    assert await store.pinned("duty", "slot") is None
    assert await store.tip() is None
    assert await store.blob(hashlib.sha256(b"blob").hexdigest()) is None
    assert not await store.timer_due(NOW, NOW, Height(9))


async def fail_after_every_write(store: Store) -> None:
    async with store.write() as tx:
        record = await tx.load("lane")
        assert record is not None
        await tx.save_state(record, STEP, b"{}", NOW, terminal=False)
        await tx.put_facts("lane", [b.ticket("entry-1")], "test", NOW)
        await tx.want_duties("lane", {"lane/chain.x": ("chain", "chain.x", b"{}")}, 0.0)
        await tx.set_wake("lane", Wake(wall=NOW))
        await tx.pin("duty", "slot", b"value")
        await tx.reserve("resource", "lane", "purpose")
        await tx.notify("lane", 0, "test", "key", "kind", NOW)
        await tx.add_block(block(1))
        await tx.put_blob(b"blob")
        raise RuntimeError("power")


async def test_writers_take_turns(store: Store) -> None:
    async def add(number: int) -> None:
        async with store.write() as tx:
            known = await tx.pin("counter", "value", b"")
            await asyncio.sleep(0)
            await tx.pin("counter", str(number), known + b"x")

    await asyncio.gather(*(add(n) for n in range(20)))
    assert [await store.pinned("counter", str(n)) for n in range(20)] == [b"x"] * 20


async def test_cancelled_writer_leaves_nothing_and_frees_the_lock(store: Store) -> None:
    inside = asyncio.Event()

    async def stuck() -> None:
        async with store.write() as tx:
            await tx.put_blob(b"never")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10), store.write() as tx:
        await tx.put_blob(b"next")
    assert await store.blob(hashlib.sha256(b"never").hexdigest()) is None
    assert await store.blob(hashlib.sha256(b"next").hexdigest()) == b"next"
