"""The Store port: news, each once, the most urgent and longest waiting first."""

from __future__ import annotations

from coordinator.ports.store import Store
from tests.support.store_rows import NOW


async def test_key_is_unique_within_its_source(store: Store) -> None:
    async with store.write() as tx:
        first = await tx.notify("lane", 0, "api", "key", "kind", NOW)
        assert first is not None
        assert await tx.notify("other", 0, "api", "key", "kind", NOW) is None
        assert await tx.notify("lane", 0, "chain", "key", "kind", NOW) is not None
        assert await tx.answered("api", "key") is None
        await tx.answer(first, b"yes", NOW)
    async with store.write() as tx:
        assert await tx.answered("api", "key") == b"yes"
        assert await tx.answered("chain", "key") is None


async def test_news_of_each_class_that_waits_longest(store: Store) -> None:
    assert await store.news(9) == []
    async with store.write() as tx:
        await tx.notify("lane", 5, "test", "a", "kind", NOW)
        await tx.notify("other", 0, "test", "b", "kind", NOW)
        await tx.notify("lane", 5, "test", "c", "kind", NOW)
    assert [(one.prio, one.lane) for one in await store.news(9)] == [(0, "other"), (5, "lane"), (5, "lane")]
    assert [(one.prio, one.lane) for one in await store.news(1)] == [(0, "other"), (5, "lane")]
    async with store.write() as tx:
        assert await tx.finish_inbox("other", NOW) == 1
    assert {one.lane for one in await store.news(9)} == {"lane"}
