"""The Store port: facts of one competition, and what is asked of all of them."""

from __future__ import annotations

from coordinator.domain import facts as f
from coordinator.domain.facts import Fact, HoldState
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.store_rows import put


async def test_first_one_stands_unless_it_is_repeatable(store: Store) -> None:
    assert await put(store, b.attested(1), b.invoice("entry-1"))
    assert not await put(store, b.attested(1), b.invoice("entry-1"))
    assert not await put(store, b.attested(2))
    assert await put(store, b.invoice("entry-1", HoldState.SETTLED))
    record = await store.lane("lane")
    assert record is not None
    attested, invoice = record.facts.get(f.Attested), record.facts.all(f.Invoice)
    assert attested == b.attested(1)
    assert [i.state for i in invoice] == [HoldState.SETTLED]


async def test_facts_of_lanes_are_apart(store: Store) -> None:
    await put(store, b.attested(1))
    other = await store.lane("other")
    assert other is not None
    assert list(other.facts) == []


async def test_every_kind_survives_storage(store: Store) -> None:
    made: list[Fact] = [
        *b.seats(("entry-1",)),
        b.holds_read(0, lost=("x",)),
        b.oracle_event(),
        b.session(),
        b.seal("entry-1"),
        b.registered("entry-1", refusal="no"),
        b.keygen(),
        b.posted(),
        b.pinned(),
        b.batches(),
        b.spare(0, "batch-1-0", 5),
        b.ready("entry-1", ("a", "b")),
        b.approval("entry-1", "a"),
        b.batch_signed(0),
        b.contract_signed(),
        b.built("split", "t"),
        b.payout("entry-1", f.PrizeState.UNKNOWN),
        f.CoinsReleased(attempt=3),
        f.NeedsOperator(topic="t", reason="r", resume="x"),
    ]
    await put(store, *made)
    record = await store.lane("lane")
    assert record is not None
    assert {(x.kind(), x.key): x for x in record.facts} == {(x.kind(), x.key): x for x in made}


async def test_a_fact_that_arrives_late_takes_nothing_back(store: Store) -> None:
    """One duty saw the invoice accepted, another settled it and wrote that first."""
    settled, accepted = b.invoice("entry-1", HoldState.SETTLED), b.invoice("entry-1")
    assert await put(store, b.invoice("entry-1", HoldState.OPEN))
    assert await put(store, settled)
    assert not await put(store, accepted)
    record = await store.lane("lane")
    assert record is not None
    assert record.facts.get(f.Invoice, settled.payment_hash) == settled
    assert await put(store, b.ticket("entry-1", 2))
    assert not await put(store, b.ticket("entry-1", 1))


async def test_facts_of_a_kind_and_key_by_when_they_were_seen(store: Store) -> None:
    old = f.Missed(player="p", attempt=1, at=UnixTime(1))
    new = f.Missed(player="p", attempt=2, at=UnixTime(2))
    async with store.write() as tx:
        await tx.put_facts("lane", [old, f.Missed(player="q", attempt=1, at=UnixTime(1))], "test", UnixTime(100))
        await tx.put_facts("other", [new, f.Attended(player="p", at=UnixTime(3))], "test", UnixTime(200))
    assert sorted((await store.facts_of(f.Missed, "p", UnixTime(100))), key=lambda x: x.at) == [old, new]
    assert await store.facts_of(f.Missed, "p", UnixTime(101)) == [new]
    assert await store.facts_of(f.Attended, "p", UnixTime(0)) == [f.Attended(player="p", at=UnixTime(3))]
    assert await store.facts_of(f.Missed, "nobody", UnixTime(0)) == []


async def test_the_last_payment_is_the_one_seen_paid_last_whatever_the_competition(store: Store) -> None:
    assert await store.last_payment() is None
    paid = [b.payout(e, b.PrizeState.PAID, payment_hash=f"{n:064x}") for n, e in enumerate(b.ROSTER)]
    unpaid = b.payout("entry-5", b.PrizeState.PAYING)
    seen = (("lane", paid[0], 100), ("other", paid[1], 300), ("lane", paid[2], 200), ("lane", unpaid, 400))
    for lane, payout, at in seen:
        async with store.write() as tx:
            await tx.put_facts(lane, [payout], "test", UnixTime(at))
    assert await store.last_payment() == paid[1].payment_hash


async def test_the_last_payment_is_found_below_many_that_are_not_paid(store: Store) -> None:
    async with store.write() as tx:
        await tx.put_facts("lane", [b.payout("entry-1", b.PrizeState.PAID)], "test", UnixTime(1))
        for n in range(250):
            payout = b.payout("entry-2", b.PrizeState.UNKNOWN)
            values = {name: getattr(payout, name) for name in payout.__struct_fields__}
            await tx.put_facts("other", [f.Payout(**{**values, "entry_id": str(n)})], "test", UnixTime(2))
    assert await store.last_payment() == b.payout("entry-1", b.PrizeState.PAID).payment_hash
