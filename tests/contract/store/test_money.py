"""The Store port: what comparisons with the outside read over all competitions."""

from __future__ import annotations

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain import facts as f
from coordinator.domain.facts import Fact
from coordinator.ports.following import Hit, Watch
from coordinator.ports.money import OpenBook, ReservedCoin
from coordinator.ports.operating import Act
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.store_rows import NOW, STATE, STEP, block, header, put, want


async def books(store: Store, *kinds: type[Fact]) -> dict[str, OpenBook]:
    return {book.lane: book async for book in store.open_books(kinds)}


async def end(store: SqliteStore, lane: str) -> None:
    async with store.write() as tx:
        record = await tx.load(lane)
        assert record is not None
        await tx.save_state(record, STEP, STATE, NOW, terminal=True)


async def test_facts_of_some_kinds_of_everything_that_goes_on(store: SqliteStore) -> None:
    await put(store, b.ticket("entry-1"), b.invoice("entry-1"), b.pinned())
    found = await books(store, f.Ticket, f.Invoice)
    assert found.keys() == {"lane", "other"}
    assert found["lane"].facts.all(f.Ticket) == (b.ticket("entry-1"),)
    assert found["lane"].facts.all(f.Invoice) == (b.invoice("entry-1"),)
    assert found["lane"].facts.all(f.Pinned) == ()
    assert (found["other"].quarantined, found["other"].unreadable, found["other"].confirmed) == (None, None, set())


async def test_one_that_is_over_counts_while_it_has_something_to_do(store: SqliteStore) -> None:
    await want(store, "ln.pay")
    await end(store, "lane")
    await end(store, "other")
    assert (await books(store)).keys() == {"lane"}
    async with store.write() as tx:
        await tx.want_duties("lane", {}, 0.0)
    assert await books(store) == {}
    assert await store.oldest_open() is None


async def test_a_row_that_cannot_be_read_hides_no_other_competition(store: SqliteStore) -> None:
    await put(store, b.ticket("entry-1"))
    async with store.write() as tx:
        await tx.put_facts("other", [b.ticket("entry-2")], "test", NOW)
    async with store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE lane = 'lane'")
    found = await books(store, f.Ticket)
    assert "version 9" in (found["lane"].unreadable or "")
    assert found["other"].facts.all(f.Ticket) == (b.ticket("entry-2"),)


async def test_stopped_ones_and_what_is_in_the_chain(store: SqliteStore) -> None:
    async with store.write() as tx:
        await tx.quarantine("lane", "a contradiction", NOW)
        await tx.add_block(block(1))
        await tx.add_hits(header(block(1)), [Hit("other", Watch("t", "aa" * 32), "aa" * 32)])
    found = await books(store)
    assert found["lane"].quarantined == "a contradiction"
    assert found["other"].confirmed == {"aa" * 32}


async def test_more_of_them_than_one_question_asks_for(store: SqliteStore) -> None:
    for n in range(450):
        async with store.write() as tx:
            await tx.create_lane(f"more-{n:03}", STATE, "created", UnixTime(5))
    assert len(await books(store)) == 452
    assert await store.oldest_open() == 5


async def test_unique_resources_reserved_coins_and_acts(store: SqliteStore) -> None:
    async with store.write() as tx:
        await tx.reserve("payout:aa", "lane", "prize/1")
        await tx.reserve("coin:bb:0", "lane", "funding/1")
        await tx.record_act(Act(dkey="1", who="w", act="explain", subject="aa", reason="r"), b"{}", NOW)
        await tx.record_act(Act(dkey="2", who="w", act="retry", subject="bb", reason="r"), b"{}", NOW)
    names = {"payout:aa", "payout:bb", *(f"hash:{n}" for n in range(1_000))}
    assert await store.taken(names) == {"payout:aa"}
    assert await store.taken([]) == frozenset()
    assert await store.reserved_coins() == [ReservedCoin("lane", "bb:0")]
    assert await store.acted_on("explain") == {"aa"}
    assert await store.acted_on("freeze") == frozenset()
