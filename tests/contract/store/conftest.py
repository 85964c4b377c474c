"""A database with two competitions, for every test of the Store port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.store import Store
from tests.support.store_rows import NOW, STATE


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(tmp_path / "coordinator.db")
    async with opened.write() as tx:
        await tx.create_lane("lane", STATE, "created", NOW)
        await tx.create_lane("other", STATE, "created", NOW)
    yield opened
    await opened.close()
