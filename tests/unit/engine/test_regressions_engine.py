"""Rules of the loops that others' mistakes taught: outages without number, cancelled workers, late arrivals."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.duties import PayPrize, WatchInvoice
from coordinator.engine import applier as applier_module
from coordinator.engine.applier import Applier
from coordinator.engine.commands.create import create_competition
from coordinator.engine.components import Child
from coordinator.engine.dependencies import Dependencies, Dependency
from coordinator.engine.duty import Again, Done, Executor, Outcome, Task
from coordinator.engine.executors import contracts
from coordinator.engine.executors.lightning import WatchInvoiceExecutor
from coordinator.engine.executors.prizes import SLOW_POLL_SECONDS, PayPrizeExecutor
from coordinator.engine.submit import Decision, submit
from coordinator.engine.vitals import Vitals
from coordinator.engine.worker import Worker
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.lightning import Payment, PaymentState
from coordinator_core.competition.draft import Draft
from coordinator_core.dlc.serialization import parameters_to_json
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.units import Blocks, Sats, Seconds
from tests.support import lanes as b
from tests.support import scene
from tests.support.ports import LedgerLightning

KIND = "oracle.create_event"
DUTY = f"{b.LANE}/{KIND}/1"
MANY = 1_000


@asynccontextmanager
async def working(house: Any, execute: Executor, vitals: Vitals | None = None) -> AsyncIterator[Worker]:
    worker = Worker(house.store, house.clockwork, house.wakeups, {KIND: execute}, vitals=vitals)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def committed(house: Any) -> None:
    async with asyncio.timeout(10):
        await house.wakeups.apply.wait()
    house.wakeups.apply.clear()


@pytest.fixture
async def lane(house: Any) -> str:
    """A competition of which one duty alone is due."""
    name = await house.lane(b.event_created(), *b.seats())
    await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (KIND,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (KIND,))
    return name


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("oracle", "no answer", fault=Fault.ORACLE),
        Rejected("oracle", "refused", fault=Fault.ORACLE),
        VerificationFailed("event", "is another", fault=Fault.ORACLE),
    ],
)
async def test_outages_never_end_a_duty_however_many(house: Any, lane: str, error: Exception) -> None:
    """What others do wrong is tried until a deadline of the competition; a number of failures ends nothing."""
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET failures = ?, attempts = ?", (MANY, MANY))

    async def execute(task: Task[Any]) -> Outcome:
        raise error

    async with working(house, execute):
        await committed(house)
    assert await house.rows(f"SELECT status, failures FROM duty WHERE id = '{DUTY}'") == [("open", MANY + 1)]
    assert isinstance(await house.apply(lane), s.EventCreated)
    assert await house.rows(f"SELECT status FROM duty WHERE id = '{DUTY}'") == [("open",)]


async def test_a_worker_that_is_cancelled_loses_no_duty(house: Any, lane: str) -> None:
    """Whatever the moment: what it had claimed is a row, and the next one takes it up."""
    begun = asyncio.Event()

    async def stuck(task: Task[Any]) -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return Done()

    async def execute(task: Task[Any]) -> Outcome:
        return Done([b.oracle_event()])

    async with asyncio.timeout(10), working(house, stuck):
        await begun.wait()
    assert await house.rows(f"SELECT status, attempts FROM duty WHERE id = '{DUTY}'") == [("open", 1)]
    house.wakeups.apply.clear()
    async with working(house, execute):
        await committed(house)
    assert await house.rows(f"SELECT status, attempts FROM duty WHERE id = '{DUTY}'") == [("done", 2)]


async def test_a_duration_is_that_of_the_work(house: Any, lane: str) -> None:
    now = 100.0
    vitals = Vitals(clock=lambda: now)

    async def execute(task: Task[Any]) -> Outcome:
        nonlocal now
        now += 7.0
        return Done([b.oracle_event()])

    async with working(house, execute, vitals):
        await committed(house)
    [total] = [line for line in vitals.meters.duty_seconds.lines() if "duty_seconds_sum" in line]
    assert 'channel="oracle"' in total
    assert float(total.rsplit(" ", 1)[1]) == 7.0


class LateNews:
    """A store into which something comes just after a lane was chosen, before it is written."""

    def __init__(self, house: Any, arrives: Callable[[], Awaitable[None]]) -> None:
        self._store = house.store
        self._arrives = arrives

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def news(self, limit: int) -> Any:
        found = await self._store.news(limit)
        if found:
            await self._arrives()
        return found


async def test_what_arrives_between_choice_and_write_is_applied_not_lost(house: Any) -> None:
    """Its row is marked done with the others of the lane, so its fact has to be in what was applied."""
    lane = await house.lane(b.event_created(), *b.seats(), wake=True)

    async def arrives() -> None:
        async with house.store.write() as tx:
            await tx.put_facts(lane, [b.oracle_event()], "oracle", house.clock.now())
            await tx.notify(lane, 0, "oracle", "late", "duty", house.clock.now())

    applier = Applier(LateNews(house, arrives), house.clockwork, house.wakeups)  # type: ignore[arg-type]
    assert await applier.step()
    assert isinstance(await house.state(lane), s.AwaitingKeygen)
    assert await house.rows("SELECT count(*) FROM inbox WHERE status = 0") == [(0,)]


async def test_a_lost_wake_up_costs_a_poll(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be done is in the database: nobody has to be told of it."""
    monkeypatch.setattr(applier_module, "IDLE_SECONDS", 0.01)
    lane = await house.lane(b.event_created(), *b.seats())
    changed, waited = asyncio.Event(), asyncio.Event()
    house.wakeups.listen(lambda _: changed.set())

    class Turns(Vitals):
        def beat(self, child: Child) -> None:
            waited.set() if self.age(child) is not None else super().beat(child)

    task = asyncio.create_task(Applier(house.store, house.clockwork, house.wakeups, vitals=Turns()).run())
    try:
        async with asyncio.timeout(10):
            await waited.wait()
        async with house.store.write() as tx:
            await tx.put_facts(lane, [b.oracle_event()], "oracle", house.clock.now())
            await tx.notify(lane, 0, "oracle", "untold", "duty", house.clock.now())
        async with asyncio.timeout(10):
            await changed.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert isinstance(await house.state(lane), s.AwaitingKeygen)


COMMANDS = 60


@pytest.mark.parametrize("lanes", [1, 20])
async def test_many_commands_at_once_are_all_answered(house: Any, lanes: int) -> None:
    """On one competition or on many: none is lost, none waits for one that waits for it."""
    names = [await house.lane(s.CollectingEntries(terms_hash="h"), name=f"lane-{n}") for n in range(lanes)]

    def decide(number: int) -> Callable[[object, object], Decision]:
        return lambda state, lane: Decision([f.NeedsOperator(topic=str(number), reason="r", resume="x")], number)

    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(
                submit(
                    house.store,
                    house.clockwork,
                    house.wakeups,
                    lane=names[n % lanes],
                    kind="test",
                    dkey=str(n),
                    decide=decide(n),
                )
                for n in range(COMMANDS)
            )
        )
    assert [int(answer) for answer in answers] == list(range(COMMANDS))
    assert await house.rows("SELECT count(*) FROM fact WHERE kind = 'needs_operator'") == [(COMMANDS,)]


async def test_each_probe_is_counted(bench: Any) -> None:
    """How reliable a service was is a quotient of two counts, not what it is at this moment."""
    vitals = Vitals()
    asked = Dependencies(bench.services, bench.house.clockwork, bench.house.wakeups, vitals)
    for reason in (None, "does not answer", None, None):
        asked.record(Dependency.ORACLE, bench.house.clock.now(), reason)
    lines = [line for line in vitals.meters.probes.lines() if 'dependency="oracle"' in line]
    counted = {found[1]: int(line.rsplit(" ", 1)[1]) for line in lines if (found := re.search('outcome="(.*?)"', line))}
    assert counted == {"up": 3, "down": 1}


async def test_a_stream_that_breaks_costs_no_news(bench: Any) -> None:
    """Of a hold invoice: what the stream did not say, the look-up says; and the next look is soon."""

    class Deaf(LedgerLightning):
        async def invoice_updates(self, payment_hash: str) -> AsyncGenerator[Any]:
            raise Unreachable("lightning", "the stream broke", fault=Fault.LIGHTNING)
            yield

    lightning = Deaf()
    bench.services = dataclasses.replace(bench.services, lightning=lightning)
    name = b.ticket_hash("entry-1")
    await lightning.add_hold_invoice(
        name, Sats(52_400), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
    )
    lightning.hold(name, b.DEADLINE)
    story = b.Story().put(b.invoice("entry-1", f.HoldState.OPEN))
    task = await bench.task(WatchInvoice(payment_hash=name), s.CollectingEntries(terms_hash="h"), story)
    seen = await WatchInvoiceExecutor(bench.services)(task)
    assert isinstance(seen, Again)
    assert [fact.state for fact in seen.facts if isinstance(fact, f.Invoice)] == [f.HoldState.ACCEPTED]
    assert 0 < seen.seconds <= SLOW_POLL_SECONDS


SIGNING_AT_ONCE = 24
DRAFT = {
    "title": "Rain",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high"],
    "values_per_entry": 1,
    "entries_close": "2023-11-16T00:00:00Z",
    "observation_start": "2023-11-17T00:00:00Z",
    "observation_end": "2023-11-18T00:00:00Z",
    "signing_date": "2023-11-18T01:00:00Z",
    "entry_fee": 50_000,
    "minimum_entries": 3,
    "maximum_entries": 5,
    "oracle_url": "http://127.0.0.1:9800",
    "keymeld_gateway": "http://127.0.0.1:8090",
}


async def test_a_look_at_a_batch_builds_no_contract_anew(bench: Any) -> None:
    """However many competitions sign at once: each is looked at several times a second."""
    blob = await bench.services.put_blob(parameters_to_json(scene.contract().parameters).encode())
    stories = [
        b.Story().put(f.Pinned(**{**msgspec.structs.asdict(b.pinned()), "parameters": blob, "funding_vout": number}))
        for number in range(SIGNING_AT_ONCE)
    ]
    contracts._build.cache_clear()
    for _ in range(3):
        for story in stories:
            await contracts.contract_of(bench.services, story.lane, 1)
    assert contracts._build.cache_info().misses == SIGNING_AT_ONCE


@pytest.mark.parametrize(
    ("state", "reason"), [(PaymentState.IN_FLIGHT, None), (PaymentState.UNKNOWN, "does not say what became of")]
)
async def test_a_payment_without_an_end_is_looked_at_less_and_less_and_told_if_it_is_unknown(
    bench: Any, state: PaymentState, reason: str | None
) -> None:
    story = b.Story().put(b.pinned(), b.contract_signed(), b.attested(), b.payout("entry-1", f.PrizeState.PAYING))
    name = b.payout("entry-1", f.PrizeState.PAYING).payment_hash
    bench.services.lightning.payments[name] = Payment(name, state)
    duty = PayPrize(entry_id="entry-1", payment_hash=name, cltv_limit=0)
    found = [
        await PayPrizeExecutor(bench.services)(await bench.task(duty, b.outcome_broadcasted(), story, attempts=number))
        for number in (1, 20, 21, 5_000)
    ]
    waits = [outcome for outcome in found if isinstance(outcome, Again)]
    assert [outcome.seconds for outcome in waits] == [0.5, 0.5, 5.0, 5.0]
    assert all(reason is None if outcome.reason is None else reason and reason in outcome.reason for outcome in waits)


async def test_fifty_requests_at_once_with_one_key_are_one_competition(house: Any) -> None:
    draft = msgspec.convert(DRAFT, Draft)
    made = await asyncio.gather(
        *(create_competition(house.store, house.clockwork, house.wakeups, draft, "key") for _ in range(50))
    )
    assert len(set(made)) == 1
    assert await house.store.lanes() == [made[0]]
