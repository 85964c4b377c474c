"""The duty loop: lease and fence, outcomes with their facts, back-off, defects that stop nobody else."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.duties import WatchInvoice
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.gates import HELD_SECONDS, Gates
from coordinator.engine.worker import Worker
from coordinator.ports.faults import LONGEST_ASKED, Rejected, Unreachable
from coordinator_core.errors import Fault, VerificationFailed
from tests.support import lanes as b

KIND = "oracle.create_event"
DUTY = f"{b.LANE}/{KIND}/1"
Execute = Callable[[Task[Any]], Awaitable[Outcome]]


@asynccontextmanager
async def working(house, executors: dict[str, Execute], **more: Any) -> AsyncIterator[Worker]:
    worker = Worker(house.store, house.clockwork, house.wakeups, executors, **more)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def committed(house) -> None:
    async with asyncio.timeout(10):
        await house.wakeups.apply.wait()
    house.wakeups.apply.clear()


async def duty(house, name: str = DUTY) -> dict[str, Any]:
    columns = ("status", "attempts", "failures", "fence", "due_at", "last_error", "owner")
    rows = await house.rows(f"SELECT {', '.join(columns)} FROM duty WHERE id = '{name}'")
    return dict(zip(columns, rows[0], strict=True))


@pytest.fixture
async def lane(house) -> str:
    name = await house.lane(b.event_created(), *b.seats())
    await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (KIND,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (KIND,))
    return name


async def test_done_writes_its_fact_wakes_the_lane_and_ends(house, lane: str) -> None:
    async def execute(task: Task[Any]) -> Outcome:
        assert (task.id, task.attempts, type(task.state)) == (DUTY, 1, s.EventCreated)
        assert task.duty.entries == 3
        return Done([b.oracle_event()])

    async with working(house, {KIND: execute}):
        await committed(house)
    assert (await duty(house))["status"] == "done"
    assert await house.rows("SELECT prio, source, kind FROM inbox WHERE status = 0") == [(0, "duty", KIND)]
    while await house.applier.step():
        pass
    assert isinstance(await house.state(lane), s.AwaitingKeygen)


async def test_executor_that_waited_can_read_the_competition_once_more(house, lane: str) -> None:
    seen: list[f.OracleEvent | None] = []

    async def execute(task: Task[Any]) -> Outcome:
        await house.put(lane, b.oracle_event())
        for view in (task.lane, (await task.now())[1]):
            seen.append(view.facts.get(f.OracleEvent, 1))
        return Done()

    async with working(house, {KIND: execute}):
        await committed(house)
    assert seen == [None, b.oracle_event()]


async def test_again_is_due_later_without_a_failure_and_keeps_its_facts(house, lane: str) -> None:
    async def execute(task: Task[Any]) -> Outcome:
        return Again(1_000.0, [f.NeedsOperator(topic="t", reason="r", resume="n")])

    async with working(house, {KIND: execute}):
        await committed(house)
    row = await duty(house)
    assert (row["status"], row["failures"], row["last_error"], row["owner"]) == ("open", 0, None, None)
    assert row["due_at"] > 1_000
    assert (await house.store.lane(lane)).facts.get(f.NeedsOperator, "t") is not None


async def test_unchanged_observation_wakes_nobody(house, lane: str) -> None:
    async def execute(task: Task[Any]) -> Outcome:
        return Again(1_000.0, b.seats())

    before = await house.rows("SELECT count(*) FROM inbox")
    async with working(house, {KIND: execute}):
        await committed(house)
    assert await house.rows("SELECT count(*) FROM inbox") == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unreachable("oracle", "no answer", fault=Fault.ORACLE), "no answer"),
        (Rejected("oracle", "refused", fault=Fault.ORACLE), "refused"),
        (VerificationFailed("oracle key", "is another", fault=Fault.ORACLE), "is another"),
        (ZeroDivisionError("a defect"), "ZeroDivisionError: a defect"),
        (TimeoutError(), "took too long"),
    ],
)
async def test_failure_is_counted_and_tried_again_later(house, lane: str, error: Exception, words: str) -> None:
    async def execute(task: Task[Any]) -> Outcome:
        raise error

    async with working(house, {KIND: execute}):
        await committed(house)
    row = await duty(house)
    assert (row["status"], row["failures"]) == ("open", 1)
    assert words in row["last_error"]
    attempts = await house.rows("SELECT outcome, error FROM duty_attempt")
    assert len(attempts) == 1
    assert attempts[0][0] == "open"


async def test_a_duty_that_is_kept_back_is_logged_once_for_each_reason(house, lane: str) -> None:
    """It is asked every two seconds, for as long as a freeze lasts."""
    house.clock.seconds = 1_000
    said = [*["frozen"] * 3, *["behind"] * 2, "frozen", None]
    now: list[str | None] = []

    async def execute(task: Task[Any]) -> Outcome:
        return Done()

    async with working(house, {KIND: execute}, gates=Gates(house=lambda *_: now[-1])):
        for number, reason in enumerate(said, start=1):
            now.append(reason)
            house.clock.seconds += math.ceil(HELD_SECONDS)
            house.wakeups.duties.set()
            await committed(house)
            row = await duty(house)
            assert row["last_error"] == reason
            assert row["failures"] == (number if reason else 0)
    logged = await house.rows("SELECT outcome, error FROM duty_attempt ORDER BY fence")
    assert logged == [("open", "frozen"), ("open", "behind"), ("open", "frozen"), ("done", None)]


async def test_what_was_tried_and_failed_is_logged_each_time(house, lane: str) -> None:
    house.clock.seconds = 1_000

    async def execute(task: Task[Any]) -> Outcome:
        return Again(1.0, reason="refused")

    async with working(house, {KIND: execute}):
        for _ in range(3):
            house.clock.seconds += 1
            house.wakeups.duties.set()
            await committed(house)
    assert await house.rows("SELECT error FROM duty_attempt") == [("refused",)] * 3


@pytest.mark.parametrize(("asked", "given"), [(77.0, 77.0), (999_999.0, LONGEST_ASKED)])
async def test_a_service_may_ask_for_more_than_the_back_off_but_not_for_days(
    house, lane: str, asked: float, given: float
) -> None:
    """Nor does the window of a closing stand still for longer than that."""
    house.clock.seconds = 1_000

    async def execute(task: Task[Any]) -> Outcome:
        raise Unreachable("oracle", "slow down", fault=Fault.ORACLE, retry_after=asked)

    async with working(house, {KIND: execute}):
        await committed(house)
    assert (await duty(house))["due_at"] == 1_000 + given
    [outage] = (await house.store.lane(lane)).facts.all(f.Outage)
    assert outage.until == 1_000 + given


async def test_success_resets_the_failures(house, lane: str) -> None:
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET failures = 9")

    async def execute(task: Task[Any]) -> Outcome:
        return Again(1_000.0)

    async with working(house, {KIND: execute}):
        await committed(house)
    assert (await duty(house))["failures"] == 0


async def test_defect_of_one_duty_stops_no_other_one(house, lane: str) -> None:
    """One executor raises, one row cannot be decoded, one outcome cannot be written: the fourth duty still ends."""
    for name in ("raises", "undecodable", "unwritable"):
        await house.lane(b.event_created(), name=name)
        await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (KIND,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 1 WHERE lane = ?", (lane,))
        await connection.exec_driver_sql("UPDATE duty SET args = '{}' WHERE lane = 'undecodable'")
    done = asyncio.Event()
    started: list[str] = []

    async def execute(task: Task[Any]) -> Outcome:
        started.append(task.lane.id)
        if task.lane.id == "raises":
            raise AssertionError("a defect")
        if task.lane.id == "unwritable":
            return Done([object()])  # type: ignore[list-item]
        done.set()
        return Done([b.oracle_event()])

    async with working(house, {KIND: execute}), asyncio.timeout(10):
        await done.wait()
        names = (DUTY, f"raises/{KIND}/1", f"undecodable/{KIND}/1")
        while not all([(await duty(house, name))["owner"] is None for name in names]):
            await committed(house)
    assert (await duty(house))["status"] == "done"
    assert set(started) == {"raises", "unwritable", lane}
    assert (await duty(house, f"raises/{KIND}/1"))["failures"] == 1
    assert (await duty(house, f"undecodable/{KIND}/1"))["failures"] == 1
    left = await duty(house, f"unwritable/{KIND}/1")
    assert (left["status"], left["fence"]) == ("open", 1)
    assert await house.rows("SELECT * FROM fact WHERE lane = 'unwritable' AND kind != 'published'") == []


async def test_completion_with_an_old_fence_changes_nothing(house, lane: str) -> None:
    claimed, taken_over = asyncio.Event(), asyncio.Event()

    async def execute(task: Task[Any]) -> Outcome:
        claimed.set()
        await taken_over.wait()
        return Done([b.oracle_event()])

    async with working(house, {KIND: execute}), asyncio.timeout(10):
        await claimed.wait()
        async with house.store.write() as tx:
            rows = await tx.claim(9e11, 30.0, "another owner", {"oracle": 4})
        assert [(row.id, row.fence, row.attempts) for row in rows] == [(DUTY, 2, 2)]
        taken_over.set()
        await house.wakeups.duties.wait()
    row = await duty(house)
    assert (row["status"], row["owner"], row["fence"]) == ("open", "another owner", 2)
    assert (await house.store.lane(lane)).facts.get(f.OracleEvent, 1) is None


async def test_result_of_a_duty_that_became_obsolete_is_dropped(house, lane: str) -> None:
    claimed, go = asyncio.Event(), asyncio.Event()

    async def execute(task: Task[Any]) -> Outcome:
        claimed.set()
        await go.wait()
        return Done([b.oracle_event()])

    async with working(house, {KIND: execute}), asyncio.timeout(10):
        await claimed.wait()
        async with house.store.write() as tx:
            await tx.want_duties(lane, {}, 0.0)
        house.wakeups.duties.clear()
        go.set()
        await house.wakeups.duties.wait()
    assert (await duty(house))["status"] == "obsolete"
    assert (await house.store.lane(lane)).facts.get(f.OracleEvent, 1) is None


async def test_lease_keeps_others_away_and_ends(house, lane: str) -> None:
    async with house.store.write() as tx:
        first = await tx.claim(1_000.0, 30.0, "one", {"oracle": 4})
    async with house.store.write() as tx:
        assert await tx.claim(1_029.0, 30.0, "two", {"oracle": 4}) == []
    async with house.store.write() as tx:
        second = await tx.claim(1_030.0, 30.0, "two", {"oracle": 4})
    assert [row.id for row in first] == [row.id for row in second] == [DUTY]


async def test_channel_has_a_limit_and_a_full_one_holds_up_no_other(house, lane: str) -> None:
    limits = {"oracle": 1, WatchInvoice.channel.value: 1}
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0")
    running: list[str] = []
    most: dict[str, int] = {}
    other = asyncio.Event()
    free = asyncio.Event()

    async def block(task: Task[Any]) -> Outcome:
        running.append("oracle")
        most["oracle"] = max(most.get("oracle", 0), running.count("oracle"))
        await free.wait()
        return Done()

    async def watch(task: Task[Any]) -> Outcome:
        running.append("watch")
        most["watch"] = max(most.get("watch", 0), running.count("watch"))
        running.remove("watch")
        other.set()
        return Again(1_000.0)

    async with working(house, {KIND: block, "ln.watch_invoice": watch}, limits=limits), asyncio.timeout(10):
        await other.wait()
        await committed(house)
    assert most == {"oracle": 1, "watch": 1}


async def test_duty_that_is_done_without_its_fact_is_taken_up_again_but_does_not_spin(house, lane: str) -> None:
    async with house.store.write() as tx:
        row = (await tx.claim(1_000.0, 30.0, "one", {"oracle": 4}))[0]
        assert await tx.complete(row, "done", 1_000.0, None, 1_000.0)
    async with house.store.write() as tx:
        await tx.want_duties(lane, {DUTY: ("oracle", KIND, row.args)}, 1_000.0)
        assert await tx.claim(1_000.0, 30.0, "one", {"oracle": 4}) == []
        assert len(await tx.claim(1_001.0, 30.0, "one", {"oracle": 4})) == 1


async def test_what_an_ended_process_had_claimed_is_taken_up_at_once(house, lane: str) -> None:
    async def execute(_: Task[Any]) -> Outcome:
        return Done([b.oracle_event()])

    limits = {"oracle": 1}
    async with house.store.write() as tx:
        [left_behind] = await tx.claim(house.clock.precise(), 10_000.0, "a process that was killed", limits)
    async with working(house, {KIND: execute}):
        await committed(house)
    assert left_behind.id == DUTY
    row = await duty(house)
    # The earlier owner's outcome would come with a fence that is stale now.
    assert (row["status"], row["fence"]) == ("done", left_behind.fence + 1)


async def test_back_off_outlives_the_process(house, lane: str) -> None:
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12, failures = 3 WHERE kind = ?", (KIND,))
    async with house.store.write() as tx:
        await tx.end_leases(1.0)
    assert (await duty(house))["due_at"] == 9e12


@pytest.mark.parametrize("protective", [0, 1])
async def test_kind_of_another_release_is_given_up_with_its_reason_unless_it_protects(
    house, lane: str, protective: int
) -> None:
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql(
            "UPDATE duty SET kind = 'ln.teleport', protective = ? WHERE id = ?", (protective, DUTY)
        )
    async with working(house, {}):
        await committed(house)
    row = await duty(house)
    assert row["status"] == ("open" if protective else "dead")
    assert "ln.teleport is not known to this release" in row["last_error"]


async def test_five_defects_count_only_when_they_are_the_same(house, lane: str) -> None:
    """Four different ones, an outage between, and a fifth: the duty lives on. Then the same one five times."""
    errors: list[Exception] = [ZeroDivisionError(), KeyError(), Unreachable("oracle", "away", fault=Fault.ORACLE)]
    errors += [IndexError(), IndexError(), IndexError(), IndexError(), KeyError()]
    errors += [ValueError()] * 5
    statuses: list[str] = []

    async def execute(_: Task[Any]) -> Outcome:
        raise errors[len(statuses)]

    for _ in range(len(errors)):
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE id = ?", (DUTY,))
        async with working(house, {KIND: execute}):
            await committed(house)
        statuses.append((await duty(house))["status"])
    assert statuses == ["open"] * (len(errors) - 1) + ["dead"]


async def test_duty_that_its_competition_has_no_use_for_any_more_is_not_done(house, lane: str) -> None:
    """What it was to produce is known, but not applied yet: the executor is not even asked."""
    await house.put(lane, b.oracle_event())

    async def never(_: Task[Any]) -> Outcome:
        raise AssertionError("must not run")

    async with working(house, {KIND: never}):
        await committed(house)
    assert (await duty(house))["last_error"] is None
    assert await house.rows("SELECT prio FROM inbox WHERE status = 0") == [(6,)]
    while await house.applier.step():
        pass
    assert (await duty(house))["status"] == "obsolete"
