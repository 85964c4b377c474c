"""Leases: kept by a heartbeat beside the work, lost ones end the attempt, and no late outcome is ever written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from coordinator.adapters.store.transaction import SqliteTransaction
from coordinator.domain import facts as f
from coordinator.domain.competitions.states import Competition
from coordinator.engine import worker as worker_module
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.steps import StepsBack
from coordinator.engine.vitals import Vitals
from coordinator.engine.worker import LEASE_SECONDS, Worker
from coordinator.ports.faults import Unreachable
from coordinator_core.errors import Fault
from tests.support import lanes as b

KIND = "oracle.create_event"
DUTY = f"{b.LANE}/{KIND}/1"
Execute = Callable[[Task[Any]], Awaitable[Outcome]]


@asynccontextmanager
async def working(house: Any, execute: Execute, **more: Any) -> AsyncIterator[Worker]:
    executors: Any = {KIND: execute}
    worker = Worker(house.store, house.clockwork, house.wakeups, executors, **more)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(60):
            yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def row(house: Any) -> tuple[Any, ...]:
    return (await house.rows(f"SELECT status, fence, attempts, due_at, owner IS NULL FROM duty WHERE id = '{DUTY}'"))[0]


@pytest.fixture
async def lane(house: Any) -> str:
    name = await house.lane(b.event_created(), *b.seats())
    await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (KIND,))
    return name


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "HEARTBEAT_SECONDS", 0.001)


async def test_slow_but_living_attempt_keeps_its_lease(house: Any, lane: str, quick: None) -> None:
    """Two minutes in one call: nobody takes it over, and its outcome counts."""
    started, end = asyncio.Event(), asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        started.set()
        await end.wait()
        return Done([b.oracle_event()])

    async with working(house, execute):
        await started.wait()
        for _ in range(12):
            house.clock.seconds += 10
            while (await row(house))[3] < house.clock.precise() + LEASE_SECONDS:
                pass
            async with house.store.write() as tx:
                assert await tx.claim(house.clock.precise(), 30.0, "another", {"oracle": 4}) == []
        end.set()
        await house.wakeups.apply.wait()
    assert (await row(house))[:3] == ("done", 1, 1)


async def test_attempt_whose_lease_another_took_is_ended_before_it_acts(house: Any, lane: str, quick: None) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("it went on")

    async with working(house, execute) as worker:
        await started.wait()
        async with house.store.write() as tx:
            assert len(await tx.claim(9e11, 30.0, "another", {"oracle": 4})) == 1
        await ended.wait()
        while worker.running:
            await house.wakeups.duties.wait()
            house.wakeups.duties.clear()
    assert (await row(house))[:3] == ("open", 2, 2)


async def test_attempt_that_nobody_wants_any_more_is_ended(house: Any, lane: str, quick: None) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("it went on")

    async with working(house, execute):
        await started.wait()
        async with house.store.write() as tx:
            await tx.want_duties(lane, {}, 0.0)
        await ended.wait()
    assert (await row(house))[0] == "obsolete"


async def test_nobody_acts_under_a_lease_that_could_not_be_extended(
    house: Any, lane: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("it went on")

    async def full_disk(_: object) -> None:
        raise OSError("no space left")

    async with working(house, execute):
        await started.wait()
        monkeypatch.setattr(Worker, "_extend", full_disk)
        house.clock.seconds += int(LEASE_SECONDS)
        await ended.wait()
    assert (await row(house))[0] == "open", "it is somebody else's to take up"


async def test_what_a_worker_takes_a_second_time_is_never_done_twice_at_once(house: Any, lane: str) -> None:
    """Its lease ended while the machine slept: the first attempt ends when the second begins."""
    started: asyncio.Queue[int] = asyncio.Queue(maxsize=9)
    running: list[int] = []
    most: list[int] = []

    async def execute(task: Task[Any]) -> Outcome:
        running.append(task.attempts)
        most.append(len(running))
        await started.put(task.attempts)
        try:
            await asyncio.Event().wait()
        finally:
            running.remove(task.attempts)
        raise AssertionError("it went on")

    async with working(house, execute):
        assert await started.get() == 1
        house.clock.seconds += 100
        house.wakeups.duties.set()
        assert await started.get() == 2
        assert running == [2]
    assert most == [1, 1]


async def test_finish_lets_what_runs_end_and_takes_nothing_more(house: Any, lane: str) -> None:
    started, end = asyncio.Event(), asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        started.set()
        await end.wait()
        return Again(0.0, [b.oracle_event()])

    executors: Any = {KIND: execute}
    worker = Worker(house.store, house.clockwork, house.wakeups, executors)
    run = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await started.wait()
        worker.finish()
        end.set()
        await run
    assert (await row(house))[:3] == ("open", 1, 1)
    assert worker.running == 0


@dataclass
class Hand:
    """A clock that never goes back, moved by hand."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


async def test_after_a_step_back_of_the_clock_nothing_waits_longer(house: Any, lane: str, quick: None) -> None:
    """A back-off of half a minute does not become one of an hour and a half minute, also while nothing is leased."""
    steady = Hand()
    attempted = asyncio.Event()

    async def execute(_: Task[Any]) -> Outcome:
        attempted.set()
        return Again(30.0, reason="not yet")

    async with working(house, execute, vitals=Vitals(clock=steady)):
        await attempted.wait()
        while not (await row(house))[4] or (await row(house))[3] != house.clock.precise() + 30.0:
            pass
        house.clock.seconds -= 3_600
        while (await row(house))[3] > house.clock.precise() + 30.0:
            pass
        assert (await row(house))[3] == house.clock.precise() + 30.0
        attempted.clear()
        house.clock.seconds += 30
        steady.seconds += 30
        house.wakeups.duties.set()
        await attempted.wait()


async def test_a_step_back_is_seen_again_until_it_is_written_down(
    house: Any, lane: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady, ended = Hand(), asyncio.Event()
    failures = iter([OSError("the disk"), OSError("the disk")])
    write = SqliteTransaction.set_back

    async def fails(self: SqliteTransaction, now: float, seconds: float) -> int:
        if (failure := next(failures, None)) is not None:
            raise failure
        ended.set()
        return await write(self, now, seconds)

    monkeypatch.setattr(SqliteTransaction, "set_back", fails)
    async with working(house, away, vitals=Vitals(clock=steady)):
        house.clock.seconds -= 3_600
        await ended.wait()


@pytest.mark.parametrize(
    ("wall", "steady", "lost"), [(-3_600, 0, 3_600.0), (-19, 0, 0.0), (3_600, 0, 0.0), (10, 10, 0.0)]
)
def test_only_a_step_back_counts(wall: int, steady: int, lost: float) -> None:
    now, ever = Hand(), Hand()
    steps = StepsBack(now, ever)
    now.seconds, ever.seconds = now.seconds + wall, ever.seconds + steady
    assert [steps.look(), steps.look()] == [lost, lost]
    steps.covered(lost)
    assert steps.look() == 0.0


async def away(_: Task[Any]) -> Outcome:
    raise Unreachable("oracle", "away", fault=Fault.ORACLE, retry_after=0.0)


async def five_silences(house: Any, worker: Worker) -> Hand:
    """They open the breaker of the oracle."""
    worker._breakers._clock = hand = Hand()
    for _ in range(5):
        await house.wakeups.apply.wait()
        house.wakeups.apply.clear()
        house.clock.seconds += 40
        hand.seconds += 1.0
        house.wakeups.duties.set()
    return hand


@pytest.mark.parametrize("state", [b.awaiting_keygen(), b.event_created()], ids=["in a window", "before it"])
async def test_open_breaker_holds_everybody_back_and_their_windows_wait(
    house: Any, lane: str, state: Competition
) -> None:
    """Five silences; a competition in its closing that has not even asked gets the outage as well."""
    other = await house.lane(state, name="other")
    async with working(house, away) as worker:
        await five_silences(house, worker)
        while not (await house.store.lane(other)).facts.all(f.Outage):
            pass
        assert worker._breakers.open == {"oracle"}
    [outage] = (await house.store.lane(other)).facts.all(f.Outage)
    assert outage.service == "oracle"
    assert outage.until - outage.since >= 10
    assert await house.rows("SELECT prio, kind FROM inbox WHERE lane = 'other' AND status = 0") == [(3, "outage")]


async def test_silence_that_could_not_be_written_is_written_with_the_next_probe(
    house: Any, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise players would be dropped for a time in which nobody was asked."""
    other = await house.lane(b.awaiting_keygen(), name="other")
    lanes_in, failed = SqliteTransaction.lanes_in, asyncio.Event()

    async def full_disk(tx: SqliteTransaction, states: Collection[str]) -> Sequence[str]:
        if not failed.is_set():
            failed.set()
            raise OSError("no space left")
        return await lanes_in(tx, states)

    monkeypatch.setattr(SqliteTransaction, "lanes_in", full_disk)
    async with working(house, away) as worker:
        hand = await five_silences(house, worker)
        await failed.wait()
        hand.seconds += 10.0
        house.wakeups.duties.set()
        while not (found := (await house.store.lane(other)).facts.all(f.Outage)):
            pass
    assert found[0].until - found[0].since >= 20
