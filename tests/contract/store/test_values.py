"""The Store port: pins, blobs and resources are written once."""

from __future__ import annotations

from coordinator.ports.store import Store


async def test_pin_and_blob_are_written_once(store: Store) -> None:
    async with store.write() as tx:
        assert await tx.pin("duty", "slot", b"first") == b"first"
        assert await tx.pin("duty", "slot", b"second") == b"first"
        assert await tx.pin("duty", "other", b"second") == b"second"
        name = await tx.put_blob(b"data")
        assert await tx.put_blob(b"data") == name
    assert await store.pinned("duty", "slot") == b"first"
    assert await store.blob(name) == b"data"
    assert await store.blob("0" * 64) is None


async def test_resource_belongs_to_the_first_lane_and_purpose(store: Store) -> None:
    async with store.write() as tx:
        assert await tx.reserve("hash:1", "lane", "ticket")
        assert await tx.reserve("hash:1", "lane", "ticket")
        assert not await tx.reserve("hash:1", "lane", "payout")
        assert not await tx.reserve("hash:1", "other", "ticket")
        assert await tx.reserve("hash:2", "other", "ticket")
