"""Two workers on one database, the first of which sleeps through its leases and then comes too late."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from coordinator.domain.duties import Channel
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.slots import DEFAULT_LIMITS
from coordinator.engine.vitals import Vitals
from coordinator.engine.worker import Worker
from tests.support import lanes as b
from tests.support.engines import KINDS, NEVER, Bench, running

CREATE = "oracle.create_event"


class Asleep(Worker):
    """Has no heartbeat while it sleeps, and so does not learn that its leases are gone."""

    async def _beat(self) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True)
class Late:
    """What came of it."""

    completions: int
    """Outcomes that the first worker tried to write."""
    rejected: int
    facts: int
    """Facts of its own that are in the database."""
    done: int
    """Duties whose outcome is the second worker's."""


async def late_completions(path: Path, count: int) -> Late:
    """`count` duties claimed by one worker, whose leases end while it holds them; another does all of them; then the
    first one wakes up and hands in what it has.
    """
    names = [f"lane-{number}" for number in range(count)]
    claimed, wake = asyncio.Event(), asyncio.Event()
    started = 0

    async def sleep(_: Task[Any]) -> Outcome:
        nonlocal started
        started += 1
        if started == count:
            claimed.set()
        await wake.wait()
        return Done([b.oracle_event(1, entries=99)])

    async def work(task: Task[Any]) -> Outcome:
        # Half of them stay open: there only the fence tells who is late.
        odd = int(task.lane.id.rpartition("-")[2]) % 2
        return Again(NEVER) if odd else Done([b.oracle_event()])

    limits = {channel: 1 for channel in DEFAULT_LIMITS} | {Channel.ORACLE.value: count}
    vitals = Vitals()
    with structlog.testing.capture_logs():
        async with Bench.open(path) as bench:
            await bench.lanes(names, b.event_created())
            applier = bench.applier()
            while await applier.step():
                pass
            async with bench.store.write_connection() as connection:
                # Only these duties are due: the others would claim slots and time.
                await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (CREATE,))
            first = Asleep(
                *(bench.store, bench.clockwork, bench.wakeups, dict.fromkeys(KINDS, sleep)),
                limits=limits,
                vitals=vitals,
            )
            async with running(first):
                await claimed.wait()
                async with bench.store.write_connection() as connection:
                    await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (CREATE,))
                second = bench.worker(answers=dict.fromkeys(KINDS, work), limits=limits)
                await _all_done(second)
                wake.set()
                while first.running:
                    await bench.wakeups.duties.wait()
                    bench.wakeups.duties.clear()
            facts = "SELECT count(*) FROM fact WHERE kind = 'oracle_event' AND body LIKE '%\"entries\":99%'"
            ended = (
                f"SELECT count(*) FROM duty WHERE kind = '{CREATE}' AND fence = 2 AND owner IS NULL AND attempts = 2"
            )
            return Late(count, _stale(vitals), await bench.number(facts), await bench.number(ended))


async def _all_done(worker: Worker) -> None:
    """Without the housekeeping of a start, which belongs to a process that is alone."""
    async with asyncio.TaskGroup() as group:
        assert await worker._claim(group)


def _stale(vitals: Vitals) -> int:
    lines = [line for line in vitals.meters.attempts.lines() if 'outcome="stale"' in line]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
