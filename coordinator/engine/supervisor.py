"""Loops under supervision, one for one: who dies or falls silent is started again, its siblings go on (spec of the
engine, section 3.8). Who keeps dying is tried slowly for ever; without a critical one money stands still, so then the
process is to end and to begin again with clean memory.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from coordinator.engine.components import Child, ChildState
from coordinator.engine.vitals import Vitals
from coordinator_core.errors import Misuse

MAX_RESTARTS: Final = 5
WINDOW_SECONDS: Final = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
STABLE_SECONDS: Final = 30.0
"""A life that lasted so long is a fresh start."""
PROBE_SECONDS: Final = 30.0
"""Between two lives of one that keeps dying."""
END_SECONDS: Final = 10.0
"""What a cancelled loop may take to end."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for silent loops."""
JITTER: Final = 0.2

Run = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a loop is kept."""

    silence: float
    """Seconds without a beat after which it is stuck."""
    critical: bool = False
    """Without it money stands still."""


@dataclass(slots=True)
class _Ward:
    child: Child
    run: Run
    plan: Plan
    resting: ChildState = ChildState.STOPPED
    """While no life is lived."""
    life: asyncio.Future[None] | None = None
    started: float = 0.0
    silent: float = 0.0
    """Seconds of silence that were looked at: a machine that sleeps, or a blocked event loop, is no silence."""
    told_to_end: float | None = None
    """Seconds since it was cancelled for being stuck."""
    last: bool = False
    """It may end by itself: that is no crash."""
    streak: int = 0
    """Crashes since it was last stable."""
    too_often: bool = False
    crashes: deque[float] = field(default_factory=deque[float])

    def begin(self, now: float) -> None:
        self.started, self.silent, self.told_to_end = now, 0.0, None

    def crashed(self, now: float) -> None:
        """A life ended at `now`. More than five restarts within a minute are too often."""
        if now - self.started >= STABLE_SECONDS:
            self.streak, self.too_often = 0, False
        self.crashes.append(now)
        while now - self.crashes[0] > WINDOW_SECONDS:
            self.crashes.popleft()
        self.streak += 1
        self.too_often |= len(self.crashes) > MAX_RESTARTS

    @property
    def pause(self) -> float:
        """Seconds until the next life, without jitter."""
        return PROBE_SECONDS if self.too_often else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.streak - 1, 16))


class Supervisor:
    """Keeps loops alive from `start` until `stop`. Times are those of `vitals.clock`, pauses the event loop's."""

    def __init__(self, loops: Mapping[Child, Run], plans: Mapping[Child, Plan], vitals: Vitals) -> None:
        """Raises Misuse for a loop without a plan, or a plan without a loop."""
        if loops.keys() != plans.keys():
            raise Misuse(f"loops and their plans (engine.children) differ: {sorted(loops.keys() ^ plans.keys())}")
        self._vitals = vitals
        self._wards = {child: _Ward(child, run, plans[child]) for child, run in loops.items()}
        self._tasks: dict[Child, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._escalated: asyncio.Future[str] | None = None

    def start(self) -> None:
        """Start every loop. Needs a running event loop."""
        self._escalated = asyncio.get_running_loop().create_future()
        for child, ward in self._wards.items():
            self._tasks[child] = asyncio.create_task(self._keep(ward), name=f"supervise {child.value}")
        self._watch = asyncio.create_task(self._look_for_silence(), name="supervise silence")
        for task in (*self._tasks.values(), self._watch):
            task.add_done_callback(self._unwatched)
        log.info("loops started", children=[child.value for child in self._wards])

    async def escalation(self) -> str:
        """Waits for the reason why the process has to end."""
        if self._escalated is None:
            raise Misuse("nothing is supervised yet")
        return await asyncio.shield(self._escalated)

    def state(self, child: Child) -> ChildState:
        """What a loop does now: derived from its life, so that nobody has to remember to correct it."""
        ward = self._wards[child]
        if ward.life is None:
            return ward.resting
        age = self._vitals.clock() - ward.started
        if ward.told_to_end is not None or (ward.too_often and age < STABLE_SECONDS):
            return ChildState.DEGRADED
        beat = self._vitals.age(child)
        return ChildState.RUNNING if beat is not None and beat <= age else ChildState.STARTING

    def states(self) -> Mapping[Child, ChildState]:
        """Of every loop."""
        return {child: self.state(child) for child in self._wards}

    def started(self, child: Child) -> float:
        """When the present life of a loop, or the last one, began."""
        return self._wards[child].started

    async def stop(self, children: Collection[Child], seconds: float = END_SECONDS) -> None:
        """Cancel loops and wait for their ends, at most so many seconds: who does not end by then is left behind."""
        tasks = [self._tasks[child] for child in children if child in self._tasks]
        if set(children) >= self._wards.keys() and self._watch is not None:
            tasks.append(self._watch)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=max(0.0, seconds))
        for task in late:
            log.error("loop does not end", task=task.get_name())
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ended(self, child: Child, seconds: float, to_end: float = END_SECONDS) -> bool:
        """Wait for a loop that was told to finish. False, and it is cancelled, when that takes more than `seconds`; it
        then has `to_end` seconds to end, see `stop`.
        """
        task = self._tasks.get(child)
        if task is None:
            return True
        self._wards[child].last = True
        if self._wards[child].life is None:
            task.cancel()
        done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
        await self.stop((child,), to_end)
        return bool(done)

    async def _keep(self, ward: _Ward) -> None:
        try:
            while True:
                await self._live(ward)
                if ward.last:
                    return
                ward.crashed(self._vitals.clock())
                self._vitals.meters.restarts.add(ward.child.value)
                if ward.too_often and ward.plan.critical:
                    self._escalate(f"the {ward.child.value} loop died {len(ward.crashes)} times within a minute")
                    return
                ward.resting = ChildState.DEGRADED if ward.too_often else ChildState.BACKOFF
                await asyncio.sleep(ward.pause * random.uniform(1 - JITTER, 1 + JITTER))
        finally:
            ward.resting = ChildState.STOPPED

    async def _live(self, ward: _Ward) -> None:
        """One life, however it ends. Cancellation ends it, and waits for its end."""
        life = asyncio.ensure_future(ward.run())
        ward.begin(self._vitals.clock())
        ward.life = life
        try:
            await asyncio.wait({life})
            _tell(ward, life)
        finally:
            try:
                if not life.done():
                    life.cancel()
                    await asyncio.wait({life}, timeout=END_SECONDS)
            finally:
                # A second cancellation ends the waiting: the life is none that is looked after any more.
                ward.life = None

    async def _look_for_silence(self) -> None:
        looked = self._vitals.clock()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._vitals.clock()
            for ward in self._wards.values():
                if ward.life is not None and not ward.last:
                    self._look(ward, ward.life, now - looked)
            looked = now

    def _look(self, ward: _Ward, life: asyncio.Future[None], passed: float) -> None:
        """`passed`: seconds since the last look. Much more than was asked for are our own absence, not the loop's."""
        counted = min(passed, 2 * LOOK_SECONDS)
        if ward.told_to_end is not None:
            ward.told_to_end += counted
            if ward.plan.critical and ward.told_to_end > END_SECONDS:
                self._escalate(f"the {ward.child.value} loop is stuck and does not end")
            return
        beat = self._vitals.age(ward.child)
        lived = self._vitals.clock() - ward.started
        ward.silent = 0.0 if beat is not None and beat <= min(passed, lived) else ward.silent + counted
        if ward.silent > ward.plan.silence:
            log.error("loop stuck", loop=ward.child.value, silent_seconds=round(ward.silent))
            ward.told_to_end = 0.0
            life.cancel()

    def _escalate(self, reason: str) -> None:
        if self._escalated is not None and not self._escalated.done():
            log.critical("the process has to end", reason=reason)
            self._escalated.set_result(reason)

    def _unwatched(self, task: asyncio.Task[None]) -> None:
        """Nobody looks after us: when supervision itself is broken, the process has to end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._escalate(f"{task.get_name()}: {type(error).__name__}")


def _tell(ward: _Ward, life: asyncio.Future[None]) -> None:
    error = None if life.cancelled() else life.exception()
    if error is not None:
        log.error("loop died", loop=ward.child.value, exc_info=error)
    elif not ward.last:
        log.error("loop ended", loop=ward.child.value, stuck=ward.told_to_end is not None)
