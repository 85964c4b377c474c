"""The duty loop: claim with lease and fence, execute, commit the outcome with the facts it produced."""

from __future__ import annotations

import asyncio
import math
import random
import time
import uuid
from collections.abc import Mapping
from functools import partial

import structlog

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import Channel
from coordinator.domain.facts import Outage
from coordinator.domain.lane import Lane
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.duty import Again, Dead, Done, Executor, Outcome, Task
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.ports.correlation import carrying
from coordinator.ports.faults import PortError, Unreachable
from coordinator.ports.store import DutyRow, Store
from coordinator_core.errors import CoreError, Misuse
from coordinator_core.units import UnixTime

LEASE_SECONDS = 30.0
IDLE_SECONDS = 0.5
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
POISON = 5
STATUS: Mapping[type, str] = {Done: "done", Again: "open", Dead: "dead"}
RESULT_PRIORITY = 0
CLOSING_CHANNELS = frozenset(c.value for c in (Channel.ORACLE, Channel.KEYMELD, Channel.CHAIN, Channel.LOCAL))
LIMITS: Mapping[str, int] = {
    Channel.ORACLE.value: 4,
    Channel.KEYMELD.value: 8,
    Channel.LIGHTNING.value: 16,
    Channel.CHAIN.value: 8,
    Channel.LOCAL.value: 2,
    Channel.NOTIFY.value: 2,
    Channel.WATCH.value: 64,
}

log = structlog.get_logger()


class Worker:
    """Runs duties until stopped. Losing the process loses nothing: leases end, pins make the effect the same."""

    def __init__(
        self,
        store: Store,
        clock: Clockwork,
        wakeups: Wakeups,
        executors: Mapping[str, Executor],
        observer: EngineObserver = UNOBSERVED,
        vitals: Vitals | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._executors = executors
        self._observer = observer
        self._owner = uuid.uuid4().hex
        self._running: dict[str, int] = dict.fromkeys(LIMITS, 0)

    async def run(self) -> None:
        """Claim and execute for ever, what an ended run had claimed first; cancellation waits for nothing."""
        async with self._store.write() as tx:
            await tx.end_leases(time.time())
        async with asyncio.TaskGroup() as group:
            while True:
                self._vitals.beat(Child.DUTIES)
                if not await self._claim(group):
                    await wait(self._wakeups.duties, IDLE_SECONDS * random.uniform(0.8, 1.2))

    async def _claim(self, group: asyncio.TaskGroup) -> bool:
        free = {channel: limit - self._running[channel] for channel, limit in LIMITS.items()}
        free = {channel: slots for channel, slots in free.items() if slots > 0}
        now = time.time()
        if not free or not await self._store.duty_due(now):
            return False
        async with self._store.write() as tx:
            rows = await tx.claim(now, LEASE_SECONDS, self._owner, free)
        for row in rows:
            self._running[row.channel] += 1
            group.create_task(self._run(row), name=row.id)
        return bool(rows)

    async def _run(self, row: DutyRow) -> None:
        with carrying(row.request_id):
            await self._carried(row)

    async def _carried(self, row: DutyRow) -> None:
        began, became = self._vitals.clock(), "not_committed"
        try:
            self._observer.claimed(row)
            outcome = await self._attempt(row)
            self._observer.executed(row)
            became = _word(outcome) if await self._commit(row, outcome) else "stale"
        except Exception:
            # Nothing was written: the lease ends and the duty is taken up again, its siblings go on.
            log.exception("outcome not committed", duty=row.id)
        finally:
            self._vitals.meters.attempts.add(row.kind, became)
            self._vitals.meters.duty_seconds.observe(self._vitals.clock() - began, row.channel)
            self._running[row.channel] -= 1
            self._wakeups.duties.set()

    async def _attempt(self, row: DutyRow) -> Outcome | Dead:
        began = self._clock.wall()
        try:
            async with asyncio.timeout(LEASE_SECONDS * 0.9):
                return await self._execute(row)
        except TimeoutError:
            return Again(_backoff(row.failures), reason="took longer than its lease")
        except Unreachable as error:
            self._wakeups.probe.set()
            pause = max(error.retry_after or 0.0, _backoff(row.failures))
            return Again(pause, self._outage(row, began, pause), reason=str(error))
        except UnreadableRow as error:
            return _defect(row, str(error), at_once=True)
        except (PortError, CoreError) as error:
            log.warning("duty failed", duty=row.id, code=error.code, error=str(error))
            return Again(_backoff(row.failures), reason=str(error))
        except Exception as error:
            # A defect of ours must not end the loop for every other competition; it is retried, counted and seen.
            log.exception("duty raised", duty=row.id)
            return _defect(row, f"{type(error).__name__}: {error}")

    def _outage(self, row: DutyRow, began: UnixTime, pause: float) -> tuple[Outage, ...]:
        """A service that the windows of the closing hang on was down from this attempt until the next one."""
        if row.channel not in CLOSING_CHANNELS:
            return ()
        until = UnixTime(self._clock.wall() + math.ceil(pause))
        return (Outage(service=row.channel, since=began, until=until),)

    async def _execute(self, row: DutyRow) -> Outcome:
        record = await self._store.lane(row.lane)
        if record is None or row.kind not in self._executors:
            return Again(MAX_BACKOFF, reason=f"nothing here can execute {row.kind}")
        stopped = record.quarantined is not None
        if stopped and not row.protective:
            # It was claimed before the competition was stopped.
            return Again(MAX_BACKOFF, reason=f"the competition is stopped: {record.quarantined}")
        lane = codec.lane_of(record, await world_of(record, self._clock))
        state, reread = codec.decode_state(record.state), partial(self._view, row.lane)
        task = Task(row.id, codec.decode_duty(row), state, lane, row.attempts, stopped, reread)
        return await self._executors[row.kind](task)

    async def _view(self, lane: str) -> tuple[Competition, Lane]:
        record = await self._store.lane(lane)
        if record is None:
            raise Misuse(f"competition {lane} is gone")
        return codec.decode_state(record.state), codec.lane_of(record, await world_of(record, self._clock))

    async def _commit(self, row: DutyRow, outcome: Outcome | Dead) -> bool:
        """False when another has the duty by now: nothing was written."""
        now = time.time()
        done = isinstance(outcome, Done)
        error = None if isinstance(outcome, Done) else outcome.reason
        due = now + outcome.seconds if isinstance(outcome, Again) else now
        async with self._store.write() as tx:
            if not await tx.complete(row, STATUS[type(outcome)], due, error, now):
                log.warning("stale completion rejected", duty=row.id, fence=row.fence)
                return False
            changed = await tx.put_facts(row.lane, outcome.facts, row.id, self._clock.wall())
            if changed or done:
                wall = self._clock.wall()
                await tx.notify(row.lane, RESULT_PRIORITY, "duty", f"{row.id}#{row.fence}", row.kind, wall)
        self._observer.completed(row)
        self._wakeups.apply.set()
        return True


def _word(outcome: Outcome | Dead) -> str:
    if isinstance(outcome, Again):
        return "again" if outcome.reason is None else "failed"
    return STATUS[type(outcome)]


def _defect(row: DutyRow, reason: str, *, at_once: bool = False) -> Again | Dead:
    """The fifth failure in a row that is a defect of ours gives a duty up, unless it protects somebody."""
    if not row.protective and (at_once or row.failures + 1 >= POISON):
        log.error("duty is dead", duty=row.id, error=reason)
        return Dead(reason)
    return Again(_backoff(row.failures + 3), reason=reason)


def _backoff(failures: int) -> float:
    return min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 10)) * random.uniform(0.8, 1.2)
