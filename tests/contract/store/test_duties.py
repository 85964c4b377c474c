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


async def test_a_clock_that_went_back_takes_what_waits_along(store: Store) -> None:
    await want(store, "chain.a", "chain.b", "chain.c", "chain.d")
    async with store.write() as tx:
        done, soon, later, leased = await tx.claim(4_000.0, 30.0, "me", {"chain": 4})
        await tx.complete(done, "done", 4_000.0, None, 4_000.0)
        await tx.complete(soon, "open", 4_001.0, None, 4_000.0)
        await tx.complete(later, "open", 4_120.0, None, 4_000.0)
        assert await tx.set_back(404.0, 3_600.0) == 3
    for moment, due in ((403.0, []), (404.0, [soon.id]), (430.0, [leased.id]), (519.0, []), (520.0, [later.id])):
        async with store.write() as tx:
            assert [row.id for row in await tx.claim(moment, 9e9, "next", {"chain": 9})] == due


async def test_waits_of_an_hour_end_and_those_of_a_minute_stay(store: Store) -> None:
    await want(store, "chain.a", "chain.b", "chain.c", "chain.d")
    async with store.write() as tx:
        done, minute, hour, leased = await tx.claim(4_000.0, 30.0, "me", {"chain": 4})
        await tx.complete(done, "done", 9_000.0, None, 4_000.0)
        await tx.complete(minute, "open", 4_060.0, None, 4_000.0)
        await tx.complete(hour, "open", 7_600.0, None, 4_000.0)
        assert await tx.end_long_waits(4_000.0, 60.0) == 1
    for moment, due in ((4_000.0, [hour.id]), (4_030.0, [leased.id]), (4_059.0, []), (4_060.0, [minute.id])):
        async with store.write() as tx:
            assert [row.id for row in await tx.claim(moment, 9e9, "next", {"chain": 9})] == due


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


async def since(store: Store) -> list[float]:
    return [row.since for row in await store.troubled_duties(1, 10)]


async def outcome(store: Store, at: float, error: str | None, *, held: bool = True) -> None:
    """One attempt, two seconds after the one before."""
    async with store.write() as tx:
        [row] = await tx.claim(at, 30.0, "me", {"chain": 1})
        assert await tx.complete(row, "open", at + 2, error, at, held=held)


async def test_a_duty_is_in_trouble_since_the_first_time_that_it_was_kept_back(store: Store) -> None:
    """However often it was asked since, and for which reasons."""
    await want(store, "chain.a")
    await outcome(store, 100.0, "x", held=False)
    await outcome(store, 102.0, None)
    assert await since(store) == []
    for at, error in ((104.0, "x"), (106.0, "x"), (108.0, "y"), (110.0, "y"), (112.0, "y")):
        await outcome(store, at, error)
        assert await since(store) == [104.0]
    async with store.write() as tx:
        assert await tx.claim(114.0, 30.0, "me", {"chain": 1})
    # One that is under way changes nothing.
    assert await since(store) == [104.0]


async def test_trouble_that_an_operator_looked_after_begins_anew(store: Store) -> None:
    await want(store, "chain.a")
    for at in (100.0, 102.0):
        await outcome(store, at, "x")
    async with store.write() as tx:
        assert await tx.hurry(103.0) == 1
    await outcome(store, 104.0, "x")
    assert await since(store) == [104.0]


async def test_an_attempt_that_got_lost_leaves_what_the_log_says(store: Store) -> None:
    await want(store, "chain.a")
    await outcome(store, 100.0, "x")
    for at in (102.0, 140.0):
        async with store.write() as tx:
            assert await tx.claim(at, 30.0, "gone", {"chain": 1})
    await outcome(store, 180.0, "x")
    assert await since(store) == [100.0]


async def test_failures_count_until_a_success(store: Store) -> None:
    await want(store, "chain.a")
    for number, error in enumerate(("x", "y", None, "z")):
        async with store.write() as tx:
            row = (await tx.claim(number * 100.0, 30.0, "me", {"chain": 1}))[0]
            assert row.failures == {0: 0, 1: 1, 2: 2, 3: 0}[number]
            assert await tx.complete(row, "open", number * 100.0 + 1, error, 0.0)
