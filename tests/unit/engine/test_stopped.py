"""A stopped competition stands still before the funding and goes on protecting after it; duties that were given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from coordinator.domain import duties as d
from coordinator.domain.competitions import states as s
from coordinator.engine import apply as apply_module
from coordinator.engine.attempt import POISON
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.engine import Engine
from coordinator.engine.slots import DEFAULT_LIMITS
from coordinator.engine.worker import Worker
from coordinator.ports.following import Hit, Watch
from tests.support import lanes as b

Execute = Callable[[Task[Any]], Awaitable[Outcome]]
CREATE, SETTLE = "oracle.create_event", "ln.settle"


async def stop(house: Any, lane: str, reason: str = "contradiction") -> None:
    async with house.store.write() as tx:
        await tx.quarantine(lane, reason, house.clock.now())


async def work_once(house: Any, executors: dict[str, Execute]) -> None:
    """Let a worker do what is due now."""
    worker = Worker(house.store, house.clockwork, house.wakeups, executors)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(10):
            while await house.store.due(house.clock.precise(), DEFAULT_LIMITS) or worker.running:
                await house.wakeups.duties.wait()
                house.wakeups.duties.clear()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def due_now(house: Any) -> None:
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE status = 'open'")


async def test_before_the_funding_nothing_moves_and_the_news_is_kept(house) -> None:
    lane = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100))
    await stop(house, lane)
    assert await house.apply(lane) == b.awaiting_escrow()
    assert await house.rows("SELECT status, error FROM inbox") == [(2, "contradiction")]
    async with house.store.write() as tx:
        await tx.resume(lane)
    while await house.applier.step():
        pass
    assert isinstance(await house.state(lane), s.EscrowConfirmed)
    assert await house.rows("SELECT status, error FROM inbox") == [(1, None)]


async def test_after_the_funding_it_moves_on_and_stays_stopped(house) -> None:
    lane = await house.lane(b.awaiting_attestation(), b.pinned(), b.contract_signed(), b.attested(0), *b.seats())
    await stop(house, lane)
    assert isinstance(await house.apply(lane), s.OutcomeBroadcasted)
    record = await house.store.lane(lane)
    assert record.quarantined == "contradiction"
    assert "chain.broadcast/outcome" in await house.duties(lane)


async def test_while_it_contradicts_itself_it_stands_still_with_the_newest_reason(house, monkeypatch) -> None:
    def defect(*_: object) -> None:
        raise KeyError("a defect")

    lane = await house.lane(b.awaiting_attestation(), b.pinned(), b.attested(0), *b.seats())
    house.clock.seconds = 5
    await stop(house, lane)
    monkeypatch.setattr(apply_module, "advance", defect)
    house.clock.seconds = 9
    assert isinstance(await house.apply(lane), s.AwaitingAttestation)
    assert await house.rows("SELECT quarantined_reason, quarantined_at FROM lane") == [("KeyError: 'a defect'", 5)]


async def test_an_oracle_that_signed_two_outcomes_stops_the_competition_and_its_payouts(house) -> None:
    facts = [b.pinned(), b.contract_signed(), b.attested(0), b.payout("entry-1", b.PrizeState.PAYING)]
    lane = await house.lane(b.outcome_broadcasted(), *facts, *b.seats())
    await house.apply(lane)
    tip = await house.clockwork.tip()
    async with house.store.write() as tx:
        await tx.add_hits(tip, [Hit(lane, Watch("o", f"{b.FUNDING}:0"), b.STRANGER)])
    assert isinstance(await house.apply(lane), s.OutcomeBroadcasted)
    [(reason,)] = await house.rows("SELECT quarantined_reason FROM lane")
    assert str(reason).startswith(f"Equivocated: {b.STRANGER} is confirmed")
    await due_now(house)
    held: list[str | None] = []

    async def asks(task: Task[Any]) -> Outcome:
        held.append(task.held)
        return Again(1e6)

    async def again(task: Task[Any]) -> Outcome:
        return Again(1e6)

    await work_once(house, {"ln.pay": asks, "ln.watch_invoice": again, "chain.broadcast": again})
    assert held == ["the competition is stopped: nothing is sent"]


async def test_expansive_duties_wait_and_protective_ones_run(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await house.lane(b.event_created(), name="other")
    await house.apply("other")
    async with house.store.write() as tx:
        settle = d.SettleInvoice(entry_id="entry-1", payment_hash="h")
        names = {row[1]: row[0] for row in await house.rows("SELECT kind, id FROM duty WHERE lane = 'other'")}
        wanted = {settle.id(lane): ("lightning", SETTLE, b'{"kind":"ln.settle","entry_id":"e","payment_hash":"h"}')}
        create = (f"{lane}/{CREATE}/1", ("oracle", CREATE, b'{"kind":"oracle.create_event","attempt":1,"entries":3}'))
        await tx.want_duties(lane, {**wanted, create[0]: create[1]}, 0.0, set(wanted))
    assert f"other/{CREATE}/1" in names
    await stop(house, lane)
    await due_now(house)
    done: list[tuple[str, bool]] = []

    async def execute(task: Task[Any]) -> Outcome:
        done.append((task.id, task.stopped))
        return Again(1e6)

    await work_once(house, {CREATE: execute, SETTLE: execute})
    assert sorted(done) == sorted([(settle.id(lane), True), (f"other/{CREATE}/1", False)])
    # What waits is no reason to look again and again: it was not even claimed.
    assert await house.rows(f"SELECT attempts FROM duty WHERE id = '{lane}/{CREATE}/1'") == [(0,)]
    assert not await house.store.due(house.clock.precise(), DEFAULT_LIMITS)
    async with house.store.write() as tx:
        await tx.resume(lane)
    await due_now(house)
    await work_once(house, {CREATE: execute, SETTLE: execute})
    assert (f"{lane}/{CREATE}/1", False) in done


async def test_what_was_claimed_before_it_was_stopped_is_not_done(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due_now(house)
    worker = Worker(house.store, house.clockwork, house.wakeups, {CREATE: never})
    async with house.store.write() as tx:
        [row] = await tx.claim(1.0, 30.0, "me", {"oracle": 1})
    await stop(house, lane)
    outcome = await worker._attempts.attempt(row)
    assert isinstance(outcome, Again)
    assert "stopped: contradiction" in (outcome.reason or "")


async def never(task: Task[Any]) -> Outcome:
    raise AssertionError(f"{task.id} must not run")


async def test_the_fifth_defect_in_a_row_ends_an_expansive_duty_and_no_protective_one(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    watch = next(name for name in await house.duties(lane) if name.startswith("ln.watch_invoice/"))
    tried: list[str] = []

    async def broken(task: Task[Any]) -> Outcome:
        tried.append(task.id)
        raise ZeroDivisionError("a defect")

    for _ in range(6):
        await due_now(house)
        await work_once(house, {CREATE: broken, "ln.watch_invoice": broken})
    status = dict(await house.rows(f"SELECT kind, status FROM duty WHERE kind = '{CREATE}' OR id LIKE '%{watch}'"))
    assert status == {CREATE: "dead", "ln.watch_invoice": "open"}
    assert tried.count(f"{lane}/{CREATE}/1") == POISON
    # Still wanted it stays dead, no more wanted it is obsolete: nobody has to look at it.
    await house.apply(lane)
    assert await house.rows(f"SELECT status FROM duty WHERE kind = '{CREATE}'") == [("dead",)]
    await house.put(lane, b.oracle_event())
    await house.apply(lane)
    assert await house.rows(f"SELECT status FROM duty WHERE kind = '{CREATE}'") == [("obsolete",)]


async def test_a_duty_that_cannot_be_read_is_dead_at_once(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql(f"UPDATE duty SET v = 99 WHERE kind = '{CREATE}'")
    await due_now(house)
    await work_once(house, {CREATE: never, "ln.watch_invoice": done})
    rows = await house.rows(f"SELECT status, last_error FROM duty WHERE kind = '{CREATE}'")
    assert rows[0][0] == "dead"
    assert "version 99" in str(rows[0][1])


async def done(task: Task[Any]) -> Outcome:
    return Done()


async def test_at_the_start_an_unreadable_competition_is_stopped_and_no_other(bench) -> None:
    house = bench.house
    bad = await house.lane(b.event_created(), name="bad")
    await house.lane(b.event_created(), name="good")
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE state_row SET v = 7 WHERE lane = 'bad'")
    engine = Engine(bench.services, poll_seconds=60.0)
    await engine._note_downtime()
    rows = dict(await house.rows("SELECT id, quarantined_reason FROM lane"))
    assert "version 7" in str(rows[bad])
    assert rows["good"] is None
    assert [lane.id for _, lane in await engine.views(["bad", "good"])] == ["good"]
