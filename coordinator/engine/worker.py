"""The duty loop: claim with lease and fence, execute, commit the outcome with the facts it produced."""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from coordinator.domain.duties import Channel
from coordinator.domain.facts import Outage
from coordinator.engine.attempt import Attempted, Attempts
from coordinator.engine.breakers import Breakers
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.duty import Again, Dead, Done, Executor, Unwanted
from coordinator.engine.gates import Gates
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.outages import CLOSING
from coordinator.engine.slots import DEFAULT_LIMITS, Slots
from coordinator.engine.steps import StepsBack
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.ports.correlation import carrying
from coordinator.ports.leasing import DutyRow
from coordinator.ports.store import InboxClass, Store, Transaction
from coordinator_core.units import UnixTime

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = LEASE_SECONDS / 3
IDLE_SECONDS = 0.5
STATUS: Mapping[type, str] = {Done: "done", Again: "open", Unwanted: "open", Dead: "dead"}

log = structlog.get_logger()


@dataclass(slots=True)
class _Held:
    """A lease of ours and the attempt that runs under it."""

    row: DutyRow
    until: float
    attempt: asyncio.Task[None]


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
        gates: Gates | None = None,
        limits: Mapping[str, int] = DEFAULT_LIMITS,
        breakers: Breakers | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._breakers = breakers or Breakers(self._vitals.clock, self._vitals.meters.breakers)
        self._attempts = Attempts(store, clock, wakeups, executors, gates or Gates(), self._breakers)
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._observer = observer
        self._slots = Slots(limits)
        self._steps = StepsBack(clock.precise, self._vitals.clock)
        self._owner = uuid.uuid4().hex
        self._held: dict[str, _Held] = {}
        self._finishing = False
        self._drained = asyncio.Event()

    @property
    def running(self) -> int:
        """Attempts that run now."""
        return self._slots.running

    async def run(self) -> None:
        """Claim and execute for ever, what an ended run had claimed first; cancellation waits for nothing."""
        async with self._store.write() as tx:
            await tx.end_leases(self._clock.precise())
        async with asyncio.TaskGroup() as group:
            heart = group.create_task(self._beat(), name="heartbeat")
            while not self._finishing:
                self._vitals.beat(Child.DUTIES)
                if not await self._claim(group):
                    await wait(self._wakeups.duties, IDLE_SECONDS * random.uniform(0.8, 1.2))
            self._end_listening()
            while self._held:
                self._drained.clear()
                await self._drained.wait()
            heart.cancel()

    def finish(self) -> None:
        """Claim nothing more: `run` ends with the attempts that are under way. Those that only listen end at once."""
        self._finishing = True
        self._wakeups.duties.set()

    def _end_listening(self) -> None:
        """Here and not in `finish`: a claim could have been under way then."""
        for held in self._held.values():
            if held.row.channel == Channel.WATCH.value:
                held.attempt.cancel()

    async def release(self) -> int:
        """Give back what this worker still has leased: due at once, for whoever comes next."""
        async with self._store.write() as tx:
            return await tx.end_leases(self._clock.precise(), self._owner)

    async def _claim(self, group: asyncio.TaskGroup) -> bool:
        free, full, now = self._slots.free(self._breakers.allowed), self._slots.full, self._clock.precise()
        if not free or not await self._store.due(now, free, full):
            return False
        probing = self._breakers.open
        async with self._store.write() as tx:
            rows = await tx.claim(
                *(now, LEASE_SECONDS, self._owner, free),
                full=full,
                choose=lambda due: self._slots.choose(due, free, probing),
            )
        for row in rows:
            self._start(group, row, now + LEASE_SECONDS)
        return bool(rows)

    def _start(self, group: asyncio.TaskGroup, row: DutyRow, until: float) -> None:
        if (before := self._held.get(row.id)) is not None:
            # Its lease ended, or the competition stopped wanting it for a moment: two must not act at once.
            before.attempt.cancel()
        self._slots.start(row.channel, row.lane)
        self._breakers.started(row.channel)
        attempt = group.create_task(self._run(row), name=row.id)
        # Not within the attempt: one that is cancelled before its first step never runs.
        attempt.add_done_callback(lambda _: self._end(row))
        self._held[row.id] = _Held(row, until, attempt)

    async def _beat(self) -> None:
        """Beside the work: a call that takes its time keeps its lease, one that lost it goes no further."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if (lost := self._steps.look()) > 0:
                await self._set_back(lost)
            if not self._held:
                continue
            try:
                await self._extend()
            except Exception:
                # The leases end by themselves if this goes on; then nobody may act under them.
                log.exception("leases not extended")
            self._end_lost(self._clock.precise())

    async def _set_back(self, lost: float) -> None:
        log.warning("the wall clock went back", seconds=round(lost))
        try:
            async with self._store.write() as tx:
                await tx.set_back(self._clock.precise(), lost)
        except Exception:
            # Seen again at the next beat.
            log.exception("due times not set back")
            return
        self._steps.covered(lost)
        for held in self._held.values():
            held.until -= lost
        self._wakeups.duties.set()

    async def _extend(self) -> None:
        until = self._clock.precise() + LEASE_SECONDS
        asked = {name: held.row.fence for name, held in self._held.items()}
        async with self._store.write() as tx:
            ours = await tx.extend(self._owner, until, asked)
        for name, fence in asked.items():
            held = self._held.get(name)
            if held is not None and held.row.fence == fence:
                held.until = until if ours.get(name) == fence else 0.0

    def _end_lost(self, now: float) -> None:
        for held in self._held.values():
            if held.until <= now and held.attempt.cancel():
                log.warning("lease lost", duty=held.row.id, fence=held.row.fence)

    async def _run(self, row: DutyRow) -> None:
        with carrying(row.request_id):
            await self._carried(row)

    async def _carried(self, row: DutyRow) -> None:
        began, became = self._vitals.clock(), "lost"
        try:
            self._observer.claimed(row)
            outcome = await self._attempts.attempt(row)
            self._observer.executed(row)
            became = "not_committed"
            became = _word(outcome) if await self._commit(row, outcome) else "stale"
            if any(isinstance(fact, Outage) for fact in outcome.facts):
                await self._spread(row)
        except Exception:
            # Nothing was written: the lease ends and the duty is taken up again, its siblings go on.
            log.exception("outcome not committed", duty=row.id)
        finally:
            self._vitals.meters.attempts.add(row.kind, became)
            self._vitals.meters.duty_seconds.observe(self._vitals.clock() - began, row.channel)

    def _end(self, row: DutyRow) -> None:
        self._slots.end(row.channel, row.lane)
        held = self._held.get(row.id)
        if held is not None and held.row.fence == row.fence:
            del self._held[row.id]
        self._drained.set()
        self._wakeups.duties.set()

    async def _commit(self, row: DutyRow, outcome: Attempted) -> bool:
        """False when another has the duty by now: nothing was written."""
        now = self._clock.precise()
        error = None if isinstance(outcome, Done) else outcome.reason
        due = now + outcome.seconds if isinstance(outcome, Again | Unwanted) else now
        defect = outcome.defect if isinstance(outcome, Again) else ""
        held = isinstance(outcome, Again) and outcome.held
        async with self._store.write() as tx:
            if not await tx.complete(row, STATUS[type(outcome)], due, error, now, defect, held=held):
                log.warning("stale completion rejected", duty=row.id, fence=row.fence)
                return False
            await self._tell(tx, row, outcome)
        self._observer.completed(row)
        self._wakeups.apply.set()
        return True

    async def _spread(self, row: DutyRow) -> None:
        """An open breaker holds everybody back: the windows of every closing wait, not only of who asked last."""
        silence = self._breakers.silence(row.channel)
        if silence is None:
            return
        wall = self._clock.wall()
        since, until = UnixTime(wall + math.floor(silence.began)), UnixTime(wall + math.ceil(silence.ends))
        outage = Outage(service=row.channel, since=since, until=until)
        source = f"{row.id}#{row.fence}"
        try:
            async with self._store.write() as tx:
                for lane in await tx.lanes_in(CLOSING):
                    if await tx.put_facts(lane, [outage], "breaker", wall):
                        await tx.notify(lane, InboxClass.STATUS, "breaker", f"{lane}/{source}", "outage", wall)
        except Exception:
            log.exception("outage not written", channel=row.channel)
            return
        # Not before: what could not be written, or was cut off, is left to the next probe.
        self._breakers.covered(row.channel, silence)
        self._wakeups.apply.set()

    async def _tell(self, tx: Transaction, row: DutyRow, outcome: Attempted) -> None:
        """Facts, and the news for the competition when there is any."""
        wall = self._clock.wall()
        changed = await tx.put_facts(row.lane, outcome.facts, row.id, wall)
        if changed or isinstance(outcome, Done | Unwanted):
            prio = InboxClass.RECONCILE if isinstance(outcome, Unwanted) else InboxClass.RESULT
            await tx.notify(row.lane, prio, "duty", f"{row.id}#{row.fence}", row.kind, wall)


def _word(outcome: Attempted) -> str:
    match outcome:
        case Again(reason=None):
            return "again"
        case Again():
            return "failed"
        case Unwanted():
            return "unwanted"
        case _:
            return STATUS[type(outcome)]
