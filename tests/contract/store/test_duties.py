"""The Store port: duties that are wanted, leased and completed."""

from __future__ import annotations

from coordinator.ports.store import Store
from tests.support.store_rows import claim, want


async def test_wanted_twice_is_one_and_unwanted_is_obsolete(store: Store) -> None:
    await want(store, "chain.a", "chain.b")
    await want(store, "chain.a", "chain.b")
    await want(store, "chain.b", "chain.c")
    assert sorted(kind for kind, *_ in await store.open_duties("lane")) == ["chain.b", "chain.c"]
    await want(store, "chain.a")
    assert await claim(store) == ["chain.a"]


async def test_done_stays_done_while_it_is_not_wanted(store: Store) -> None:
    await want(store, "chain.a")
    async with store.write() as tx:
        row = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
        assert await tx.complete(row, "done", 0.0, None, 0.0)
    await want(store)
    assert await store.open_duties("lane") == []
    assert not await store.due(9e9, {"chain": 1, "ln": 1})


async def test_claim_respects_time_channel_and_limit(store: Store) -> None:
    await want(store, "chain.a", "chain.b", "ln.a", now=10.0)
    assert not await store.due(9.0, {"chain": 1, "ln": 1})
    assert await claim(store, 9.0) == []
    assert len(await store.due(10.0, {"chain": 1, "ln": 1})) == 3
    assert len(await claim(store, 10.0, chain=1)) == 1
    assert len(await claim(store, 10.0, chain=5)) == 1
    assert await claim(store, 10.0, chain=5) == []
    assert await claim(store, 10.0, ln=5) == ["ln.a"]


async def test_leases_of_an_ended_process_are_due_at_once_and_its_completions_stale(store: Store) -> None:
    await want(store, "chain.a", "chain.b")
    async with store.write() as tx:
        old = (await tx.claim(0.0, 30.0, "gone", {"chain": 1}))[0]
        await tx.complete((await tx.claim(0.0, 30.0, "gone", {"chain": 1}))[0], "open", 500.0, None, 0.0)
        await tx.end_leases(1.0)
        new = await tx.claim(1.0, 30.0, "new", {"chain": 9})
        assert [(row.id, row.fence) for row in new] == [(old.id, 2)]
        assert not await tx.complete(old, "done", 1.0, None, 1.0)


async def test_an_owner_gives_back_its_own_leases_and_no_others(store: Store) -> None:
    await want(store, "chain.a", "chain.b", "chain.c")
    async with store.write() as tx:
        mine = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
        done = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
        await tx.complete(done, "open", 500.0, None, 0.0)
        await tx.claim(0.0, 30.0, "you", {"chain": 1})
    async with store.write() as tx:
        assert await tx.end_leases(1.0, "me") == 1
        assert await tx.end_leases(1.0, "me") == 0
        assert [row.id for row in await tx.claim(1.0, 30.0, "next", {"chain": 9})] == [mine.id]


async def test_only_the_highest_fence_completes(store: Store) -> None:
    await want(store, "chain.a")
    async with store.write() as tx:
        old = (await tx.claim(0.0, 30.0, "old", {"chain": 1}))[0]
    async with store.write() as tx:
        new = (await tx.claim(30.0, 30.0, "new", {"chain": 1}))[0]
    assert (old.fence, new.fence, new.attempts) == (1, 2, 2)
    async with store.write() as tx:
        assert not await tx.complete(old, "done", 0.0, None, 31.0)
        assert await tx.complete(new, "open", 99.0, "not yet", 31.0)
        assert not await tx.complete(old, "done", 0.0, None, 31.0)
    assert await store.open_duties("lane") == [("chain.a", "lane/chain.a", 2, "not yet")]


async def test_obsolete_duty_cannot_be_completed(store: Store) -> None:
    await want(store, "chain.a")
    async with store.write() as tx:
        row = (await tx.claim(0.0, 30.0, "me", {"chain": 1}))[0]
    await want(store)
    async with store.write() as tx:
        assert not await tx.complete(row, "done", 0.0, None, 1.0)


async def test_failures_count_until_a_success(store: Store) -> None:
    await want(store, "chain.a")
    for number, error in enumerate(("x", "y", None, "z")):
        async with store.write() as tx:
            row = (await tx.claim(number * 100.0, 30.0, "me", {"chain": 1}))[0]
            assert row.failures == {0: 0, 1: 1, 2: 2, 3: 0}[number]
            assert await tx.complete(row, "open", number * 100.0 + 1, error, 0.0)
