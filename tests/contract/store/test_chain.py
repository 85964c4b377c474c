"""The Store port: the cursor, what blocks hold, and what is still to be searched."""

from __future__ import annotations

from coordinator.ports.following import Hit, Search, Watch
from coordinator.ports.store import Store
from coordinator_core.units import Height
from tests.support.store_rows import block, header


async def test_cursor_and_hits_move_together_and_back(store: Store) -> None:
    first, second = block(1), block(2)
    watch = Watch("o", "coin:0")
    async with store.write() as tx:
        await tx.set_watches("lane", {watch: Height(1), Watch("t", "tx"): Height(1)})
        for made in (first, second):
            await tx.add_block(made)
        assert await tx.add_hits(header(second), [Hit("lane", watch, "tx")])
        assert await tx.add_hits(header(second), [Hit("lane", watch, "tx")])
        assert await tx.add_hits(header(first), [])
    assert await store.tip() == header(second)
    assert await store.tip(first=True) == header(first)
    record = await store.lane("lane")
    assert record is not None
    assert record.confirmed == {"tx": 2}
    assert (record.spent["coin:0"].txid, record.spent["coin:0"].height) == ("tx", 2)
    async with store.write() as tx:
        assert list(await tx.drop_tip()) == ["lane"]
        assert list(await tx.drop_tip()) == []
        assert list(await tx.drop_tip()) == []
    record = await store.lane("lane")
    assert record is not None
    assert (record.confirmed, record.spent, await store.tip()) == ({}, {}, None)


async def test_hits_in_a_block_that_is_not_stored_are_refused(store: Store) -> None:
    async with store.write() as tx:
        await tx.add_block(block(1))
        assert not await tx.add_hits(header(block(1, "b")), [Hit("lane", Watch("t", "tx"), "tx")])
    record = await store.lane("lane")
    assert record is not None
    assert record.confirmed == {}


async def test_watches_are_searched_from_their_height_up_to_the_cursor(store: Store) -> None:
    watch = Watch("t", "tx")
    async with store.write() as tx:
        for height in range(1, 4):
            await tx.add_block(block(height))
        await tx.set_watches("lane", {watch: Height(2)})
        await tx.set_watches("other", {watch: Height(1), Watch("o", "coin:0"): Height(4)})
    # What can only be in the next block has no past.
    searches = [Search("other", watch, Height(1)), Search("lane", watch, Height(2))]
    assert await store.unfilled_watches() == searches
    async with store.write() as tx:
        await tx.searched(searches[:1], Height(3))
    assert await store.unfilled_watches() == [Search("lane", watch, Height(2)), Search("other", watch, Height(3))]
    async with store.write() as tx:
        await tx.searched(await store.unfilled_watches(), Height(4))
        await tx.set_watches("lane", {watch: Height(2)})
        await tx.set_watches("other", {watch: Height(9)})
    assert await store.unfilled_watches() == []


async def test_a_watch_that_is_wanted_earlier_is_searched_again(store: Store) -> None:
    watch = Watch("t", "tx")
    async with store.write() as tx:
        for height in range(1, 5):
            await tx.add_block(block(height))
        await tx.set_watches("lane", {watch: Height(4)})
    [search] = await store.unfilled_watches()
    async with store.write() as tx:
        await tx.set_watches("lane", {watch: Height(2)})
        # Found out before it was wanted earlier: the search since then is still to be done.
        await tx.searched([search], Height(5))
    assert await store.unfilled_watches() == [Search("lane", watch, Height(2))]


async def test_an_operator_has_the_past_searched_again_from_the_beginning(store: Store) -> None:
    watch = Watch("t", "tx")
    async with store.write() as tx:
        await tx.add_block(block(1))
        await tx.add_block(block(2))
        await tx.set_watches("lane", {watch: Height(1)})
    async with store.write() as tx:
        await tx.searched(await store.unfilled_watches(), Height(3))
        assert await tx.search_again("lane") == 1
    assert await store.unfilled_watches() == [Search("lane", watch, Height(1))]


async def test_who_watches_is_found_by_what_a_block_holds(store: Store) -> None:
    """However many keys are asked for, and only those of their kind."""
    spend = Watch("o", "coin:0")
    async with store.write() as tx:
        await tx.set_watches("lane", {Watch("t", "tx"): Height(1), spend: Height(1)})
        await tx.set_watches("other", {spend: Height(1), Watch("t", "coin:0"): Height(1)})
        many = {f"{number:064x}" for number in range(2_000)}
        assert await tx.watching(many | {"tx"}, set()) == [("lane", Watch("t", "tx"))]
        found = await tx.watching(many, {"coin:0", "coin:1"})
        assert sorted(found) == [("lane", spend), ("other", spend)]
        assert await tx.watching(set(), set()) == []


async def test_a_block_of_the_past_comes_back_with_its_hits(store: Store) -> None:
    watch = Watch("t", "tx")
    async with store.write() as tx:
        await tx.add_block(block(9))
        assert await tx.keep_block(block(4))
        assert await tx.keep_block(block(4))
        assert not await tx.keep_block(block(4, "b"))
        assert not await tx.keep_block(block(9, "b"))
        assert not await tx.keep_block(block(10))
        await tx.set_watches("lane", {watch: Height(1)})
        assert await tx.add_hits(header(block(4)), [Hit("lane", watch, "tx")])
    record = await store.lane("lane")
    assert record is not None
    assert record.confirmed == {"tx": 4}
    assert await store.tip() == header(block(9))
