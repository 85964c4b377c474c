"""The end of an engine: what was under way is finished and applied, what only listened is given back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from coordinator.domain.competitions import states as s
from coordinator.domain.duties import WatchInvoice
from coordinator.engine import engine as engine_module
from coordinator.engine.components import Child, ChildState
from coordinator.engine.draining import DRAIN_SECONDS, LAST_SECONDS, SOURCES, SOURCES_SECONDS, drain
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.engine import LONGEST_WAIT_SECONDS, Engine
from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.slots import DEFAULT_LIMITS
from coordinator.engine.supervisor import MAX_RESTARTS, Plan, Supervisor
from coordinator.engine.timers import TimerLoop
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator_core.errors import Misuse
from tests.harness.sim.loop import VirtualLoop, run
from tests.support import lanes as b
from tests.support.keymeld_book import BookKeymeld
from tests.support.scene import BookOracle

KIND = "oracle.create_event"
MANY = 60


@dataclass
class Acting:
    """Executes a duty for as long as it is told to."""

    outcome: Outcome
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    ended: int = 0

    async def __call__(self, task: Task[Any]) -> Outcome:
        self.begun.set()
        await self.let.wait()
        self.ended += 1
        return self.outcome


async def beats(vitals: Vitals) -> None:
    vitals.beat(Child.MONEY)
    await asyncio.Event().wait()


@pytest.fixture
def engine(bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a running engine with executors of the test."""

    @asynccontextmanager
    async def running(executors: dict[str, Callable[[Task[Any]], Awaitable[Outcome]]]) -> AsyncIterator[Engine]:
        monkeypatch.setattr(engine_module, "executors", lambda *_: executors)
        # The Lightning node of these tests knows no invoice, which is a contradiction of its own.
        monkeypatch.setattr(MoneyOffice, "run", lambda office: beats(office._vitals))
        services = dataclasses.replace(bench.services, keymeld=BookKeymeld(b.WALL), oracle=BookOracle())
        made = Engine(services, poll_seconds=0.01, duty_limits={**DEFAULT_LIMITS, "oracle": MANY})
        await made.start()
        try:
            yield made
        finally:
            await made.stop(0.0)

    return running


async def due(house, *kinds: str) -> None:
    """Only duties of these kinds are due."""
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = ?", (house.clock.seconds + LONGEST_WAIT_SECONDS,))
        for kind in kinds:
            await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (kind,))


async def rows(house, kind: str) -> list[tuple[object, ...]]:
    return await house.rows(f"SELECT status, owner, attempts, due_at FROM duty WHERE kind = '{kind}'")


async def begun(acting: Acting) -> None:
    async with asyncio.timeout(20):
        await acting.begun.wait()


async def told_to_stop(running: Engine, seconds: float) -> asyncio.Task[bool]:
    """The end of an engine, once its worker was told to claim nothing more."""
    worker: Any = running._worker
    told, finish = asyncio.Event(), worker.finish
    worker.finish = lambda: (finish(), told.set())
    stopping = asyncio.create_task(running.stop(seconds))
    async with asyncio.timeout(20):
        await told.wait()
    return stopping


@pytest.fixture
def beaten(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set whenever a loop turned."""
    event, beat = asyncio.Event(), Vitals.beat

    def noted(vitals: Vitals, child: Child) -> None:
        beat(vitals, child)
        event.set()

    monkeypatch.setattr(Vitals, "beat", noted)
    return event


async def all_running(engine: Engine, beaten: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        while set(engine.health.children().values()) != {ChildState.RUNNING}:
            beaten.clear()
            await beaten.wait()


async def test_what_is_under_way_is_finished_and_applied(house, engine) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house, KIND)
    acting = Acting(Done([b.oracle_event()]))
    async with engine({KIND: acting}) as running:
        await begun(acting)
        stopping = await told_to_stop(running, 20.0)
        assert not stopping.done()
        assert running.health.stopping
        acting.let.set()
        assert await stopping
    assert isinstance(await house.state(lane), s.AwaitingKeygen)
    assert [row[:3] for row in await rows(house, KIND)] == [("done", None, 1)]
    assert await house.rows("SELECT id FROM duty WHERE owner IS NOT NULL") == []


async def test_nothing_new_is_claimed(house, engine) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house, KIND)
    acting = Acting(Again(0.0))
    async with engine({KIND: acting}) as running:
        await begun(acting)
        stopping = await told_to_stop(running, 20.0)
        acting.let.set()
        assert await stopping
    assert acting.ended == 1
    assert [row[1:3] for row in await rows(house, KIND)] == [(None, 1)]


async def test_what_only_listens_is_given_back_at_once(house, engine) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house, WatchInvoice.kind())
    listening = Acting(Again(1.0))
    async with engine({WatchInvoice.kind(): listening}) as running:
        await begun(listening)
        async with asyncio.timeout(10):
            assert await running.stop(60.0)
    found = await rows(house, WatchInvoice.kind())
    assert {row[:3] for row in found} == {("open", None, 1)}
    assert all(row[3] <= house.clockwork.precise() for row in found)
    assert listening.ended == 0


async def test_what_does_not_end_in_time_is_cut_off_and_given_back(house, engine) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house, KIND)
    acting = Acting(Done())
    async with engine({KIND: acting}) as running:
        await begun(acting)
        assert not await running.stop(0.2)
    assert [row[:2] for row in await rows(house, KIND)] == [("open", None)]
    assert acting.ended == 0


class Told:
    """Worker and store of a drain: when it was told to claim nothing more, and no result that waits."""

    def __init__(self) -> None:
        self.at = 0.0

    def finish(self) -> None:
        self.at = asyncio.get_running_loop().time()

    async def release(self) -> int:
        return 0

    async def progress(self, now: float) -> Told:
        return self

    inbox: ClassVar[dict[object, int]] = {}


@pytest.mark.parametrize(
    "deaf", [{SOURCES[0]}, {Child.DUTIES}, {Child.APPLY}, set(Child)], ids=["source", "duties", "apply", "all"]
)
def test_loops_that_ignore_their_cancellation_make_the_end_no_later(deaf: set[Child]) -> None:
    async def whole() -> None:
        loop, over, told = asyncio.get_running_loop(), asyncio.Event(), Told()

        async def ignores() -> None:
            while not over.is_set():
                with suppress(asyncio.CancelledError):
                    await over.wait()

        loops = {child: ignores if child in deaf else asyncio.Event().wait for child in Child}
        supervisor = Supervisor(loops, dict.fromkeys(Child, Plan(600)), Vitals(clock=loop.time))  # type: ignore[arg-type]
        supervisor.start()
        await asyncio.sleep(1)
        began = loop.time()
        given: Any = (supervisor, told, told, Wakeups())
        drained = await drain(*given, wall=lambda: b.WALL, clock=loop.time, seconds=DRAIN_SECONDS)
        took, states = loop.time() - began, set(supervisor.states().values())
        over.set()
        assert (drained, states) == (False, {ChildState.STOPPED})
        assert told.at - began <= SOURCES_SECONDS
        # Duties that go on have nearly all of the time.
        assert DRAIN_SECONDS - 2 * LAST_SECONDS <= took <= DRAIN_SECONDS

    run(whole(), VirtualLoop())


async def test_an_engine_stops_once_and_starts_once(house, engine) -> None:
    async with engine({}) as running:
        await running.start()
        assert await running.stop()
        assert await running.stop()
        with pytest.raises(Misuse):
            await running.escalation()


async def test_every_child_lives_has_a_heartbeat_and_dies_alone(
    engine, beaten: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer loop that dies once: afterwards it runs again, and the others never stopped."""
    run, begun_at = TimerLoop.run, []

    async def dies_once(self: TimerLoop) -> None:
        begun_at.append(asyncio.get_running_loop().time())
        if len(begun_at) == 1:
            raise RuntimeError("a defect")
        await run(self)

    monkeypatch.setattr(TimerLoop, "run", dies_once)
    async with engine({}) as running:
        supervisor = running._supervisor
        await all_running(running, beaten)
        assert set(running.health.children()) == set(Child)
        assert len(begun_at) == 2
        starts = {child: supervisor.started(child) for child in Child}
        assert max(starts, key=starts.__getitem__) is Child.TIMERS


async def test_a_critical_child_that_keeps_dying_escalates(house, engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = 0

    async def dies(self: TimerLoop) -> None:
        nonlocal lives
        lives += 1
        raise RuntimeError("a defect")

    monkeypatch.setattr(TimerLoop, "run", dies)
    monkeypatch.setattr("coordinator.engine.supervisor.FIRST_PAUSE", 0.001)
    async with engine({}) as running:
        async with asyncio.timeout(20):
            assert "timers" in await running.escalation()
        assert lives == MAX_RESTARTS + 1
        assert running.health.children()[Child.TIMERS] is ChildState.STOPPED


async def test_what_was_claimed_as_it_stopped_is_given_back_too(house, engine) -> None:
    """Attempts that are ended before their first step."""
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house)
    async with engine({WatchInvoice.kind(): Acting(Again(1.0))}) as running:
        worker = running._worker
        entered, finished, claim = asyncio.Event(), asyncio.Event(), worker._claim

        async def claims_late(group: asyncio.TaskGroup) -> bool:
            entered.set()
            await finished.wait()
            return await claim(group)

        worker._claim = claims_late
        await due(house, WatchInvoice.kind())
        house.wakeups.duties.set()
        worker.finish, finish = (lambda: (finish(), finished.set())), worker.finish
        async with asyncio.timeout(10):
            await entered.wait()
            assert await running.stop(60.0)
    assert {row[:3] for row in await rows(house, WatchInvoice.kind())} == {("open", None, 1)}


async def test_every_result_of_many_is_committed_and_none_is_executed_again(
    house, engine, beaten: asyncio.Event
) -> None:
    lanes = [await house.lane(b.event_created(), *b.seats(), name=f"lane-{n}") for n in range(MANY)]
    for lane in lanes:
        await house.apply(lane)
    await due(house, KIND)
    executed: list[str] = []
    every, let = asyncio.Event(), asyncio.Event()

    async def execute(task: Task[Any]) -> Outcome:
        executed.append(task.id)
        if len(executed) == MANY:
            every.set()
        await let.wait()
        return Done([b.oracle_event()])

    async with engine({KIND: execute}) as running:
        async with asyncio.timeout(30):
            await every.wait()
        stopping = await told_to_stop(running, 60.0)
        let.set()
        assert await stopping
    assert [row[:3] for row in await rows(house, KIND)] == [("done", None, 1)] * MANY
    assert {type(await house.state(lane)) for lane in lanes} == {s.AwaitingKeygen}
    async with engine({KIND: execute}) as running:
        await all_running(running, beaten)
    assert len(executed) == len(set(executed)) == MANY


async def test_a_clock_that_went_back_while_it_was_down_keeps_no_duty_waiting(house, engine) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await due(house)
    create, acting = "oracle.create_event", Acting(Again(1.0))
    async with engine({create: acting}):
        assert await rows(house, create) == [("open", None, 0, house.clock.seconds + LONGEST_WAIT_SECONDS)]
    # A second more than any pause: the clock stood that far ahead when it was written down.
    house.clock.seconds -= 1
    async with engine({create: acting}):
        await begun(acting)
