"""The Store port: state, log and revision of a competition."""

from __future__ import annotations

import pytest

from coordinator.adapters.store.transaction import StaleRevision
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime
from tests.support.store_rows import NOW, STEP


async def test_state_log_and_revision_go_together(store: Store) -> None:
    async with store.write() as tx:
        record = await tx.load("lane")
        assert record is not None
        steps = [*STEP, ("collecting_entries", "returning", "canceled")]
        await tx.save_state(record, steps, b'{"state":"returning"}', UnixTime(2_000), terminal=False)
    after = await store.lane("lane")
    assert after is not None
    assert (after.rev, after.state, after.entered_at) == (2, b'{"state":"returning"}', 2_000)
    log = await store.transitions("lane")
    assert [(row.from_state, row.to_state, row.reason, row.at) for row in log] == [(*s, 2_000) for s in steps]


async def test_save_compares_the_revision(store: Store) -> None:
    record = await store.lane("lane")
    assert record is not None
    async with store.write() as tx:
        await tx.save_state(record, STEP, b"{}", NOW, terminal=False)
    with pytest.raises(StaleRevision):
        async with store.write() as tx:
            await tx.save_state(record, STEP, b"lost update", NOW, terminal=False)
    after = await store.lane("lane")
    assert after is not None
    assert (after.rev, after.state) == (1, b"{}")
    assert len(await store.transitions("lane")) == 1


async def test_unknown_lane_is_none(store: Store) -> None:
    assert await store.lane("nowhere") is None
    assert await store.lanes() == ["other", "lane"]


async def test_quarantine_parks_the_inbox_of_its_lane(store: Store) -> None:
    async with store.write() as tx:
        await tx.notify("lane", 0, "test", "a", "kind", NOW)
        await tx.notify("other", 1, "test", "b", "kind", NOW)
        await tx.quarantine("lane", "contradiction", NOW)
    assert [one.lane for one in await store.news(9)] == ["other"]
    record = await store.lane("lane")
    assert record is not None
    assert record.quarantined == "contradiction"
