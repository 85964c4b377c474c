"""A process that was frozen for an hour goes on where it was."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from coordinator.adapters.store.sqlite import READERS, SqliteStore

HOUR = 3_600


async def test_who_waits_for_a_reader_gets_it_after_a_freeze(
    new_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(new_database)
    async with AsyncExitStack() as busy:
        for _ in range(READERS):
            await busy.enter_async_context(store.read_connection())
        waiting = asyncio.create_task(store.lanes())
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        before = loop.time
        monkeypatch.setattr(loop, "time", lambda: before() + HOUR)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting == []
    await store.close()
