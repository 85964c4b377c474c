"""Health as progress, not as existence: a loop that turns and gets nothing done is not well.

Sampled once a second; the database is read every fifth time. What is not known is said to be unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog
from msgspec import Struct

from coordinator.domain.duties import Channel
from coordinator.engine.chain.lookout import ChainReport
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child, ChildState, Component, Dependency
from coordinator.engine.dependencies import Away, Dependencies
from coordinator.engine.vitals import Hysteresis, Vitals
from coordinator.ports.measuring import Progress
from coordinator.ports.store import Store
from coordinator_core.errors import Fault, Refused

SAMPLE_SECONDS: Final = 1.0
READ_EVERY: Final = 5
STALE_SECONDS: Final = 10.0
"""Of the sampler itself: an event loop that hangs cannot say that it hangs."""
LOOP_SECONDS: Final = 5.0
DEPENDENCIES_SECONDS: Final = 60.0
CHAIN_GRACE_SECONDS: Final = 60.0
"""A block that is fetched, and watches that are searched for, take longer than a turn of the other loops."""
LATE_DUTY_SECONDS: Final = 60.0
LATE_INBOX_SECONDS: Final = 30.0
HIGH_WATER: Final = 10_000
"""New inbox rows from which on no command is taken."""
LAG_BLOCKS: Final = 2
PATIENT: Final = frozenset({Channel.WATCH.value})
"""Channels whose duties take turns: one that waits for its turn is not late."""
LOOPS: Final[Mapping[Component, Child]] = {
    Component.CHAIN_LOOP: Child.CHAIN,
    Component.APPLY_LOOP: Child.APPLY,
    Component.DUTY_LOOP: Child.DUTIES,
    Component.TIMER_LOOP: Child.TIMERS,
    Component.DEPENDENCY_LOOP: Child.DEPENDENCIES,
}
SERVICES: Final[Mapping[Component, Dependency]] = {Component(d.value): d for d in Dependency}
OURS: Final = frozenset(LOOPS) | {Component.DATABASE, Component.INBOX, Component.DUTIES}
"""When one of these is not well nothing moves. The others are waited for."""

DRIVERS: Final = (Child.APPLY, Child.DUTIES)
DRIVERLESS_SECONDS: Final = 30.0

log = structlog.get_logger()


class NobodyDrives(Refused):
    """The loops that would act on a command do not turn: nothing new is taken on until they do."""

    code = "engine.stalled"


class Overloaded(Refused):
    """More has happened than was acted on yet: nothing new is taken on until that is done. What was accepted stands."""

    code = "engine.overloaded"


class Status(StrEnum):
    """In one word."""

    OK = "ok"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Work(Struct, frozen=True, kw_only=True):
    """Whether the work goes on. None: not known."""

    oldest_due_duty_seconds: float | None
    oldest_inbox_row_seconds: float | None
    chain_lag_blocks: int | None
    stuck_competitions: int | None
    stopped_competitions: int | None
    dead_duties: int | None


class Report(Struct, frozen=True, kw_only=True):
    """Everything that health knows. Holds neither ids nor secrets."""

    status: Status
    components: Mapping[Component, bool]
    work: Work
    sampled_seconds_ago: float | None
    children: Mapping[Child, ChildState] = {}
    """What each loop under supervision does."""
    silent_channels: tuple[str, ...] = ()
    """Duties of these wait because nobody answers there; one every ten seconds asks."""
    chain: ChainReport
    """How well the chain is followed, as of this question."""


@dataclass(slots=True)
class Health:
    """Samples loops, database and services."""

    store: Store
    clock: Clockwork
    dependencies: Dependencies
    vitals: Vitals
    poll_seconds: float
    stopping: bool = False
    children: Callable[[], Mapping[Child, ChildState]] = dict
    """States of the loops, once they are supervised."""
    silent_channels: Callable[[], Collection[str]] = tuple
    """Channels whose breaker is open."""
    progress: Progress | None = None
    """As last read; None when the last read failed."""
    _states: dict[Component, Hysteresis] = field(default_factory=dict[Component, Hysteresis])
    _turn: int = 0

    async def run(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self.sample()
            slept = loop.time()
            await asyncio.sleep(SAMPLE_SECONDS)
            self.vitals.meters.loop_lag.set(max(0.0, loop.time() - slept - SAMPLE_SECONDS))

    async def sample(self) -> None:
        """One look at everything."""
        for component, child in LOOPS.items():
            age = self.vitals.age(child)
            self._note(component, age is not None and age <= self._allowed(child))
        if self._turn % READ_EVERY == 0:
            await self._read()
        self._turn += 1
        self.vitals.beat(Child.HEALTH)

    def report(self) -> Report:
        """As last sampled."""
        components = {component: self.is_healthy(component) for component in Component}
        age = self.vitals.age(Child.HEALTH)
        return Report(
            status=self._status(components, age),
            components=components,
            work=self.work(),
            sampled_seconds_ago=age,
            children=self.children(),
            silent_channels=tuple(sorted(self.silent_channels())),
            chain=self.dependencies.lookout.report(),
        )

    def work(self) -> Work:
        """Progress in numbers."""
        found = self.progress
        due = None if found is None else self.due_ages(found)
        return Work(
            oldest_due_duty_seconds=None if due is None else max(due.values(), default=0.0),
            oldest_inbox_row_seconds=None if found is None else self.inbox_age(found),
            chain_lag_blocks=self.dependencies.chain_lag,
            stuck_competitions=None if found is None else found.stuck,
            stopped_competitions=None if found is None else found.stopped,
            dead_duties=None if found is None else found.dead,
        )

    @property
    def away(self) -> tuple[Away, ...]:
        """Services that cannot be relied on now."""
        return self.dependencies.away

    def _status(self, components: Mapping[Component, bool], age: float | None) -> Status:
        if age is None or age > STALE_SECONDS or not all(components[component] for component in OURS):
            return Status.UNHEALTHY
        work = self.work()
        degraded = ChildState.DEGRADED in self.children().values()
        wrong = (work.stuck_competitions, work.stopped_competitions, work.dead_duties, degraded)
        return Status.OK if all(components.values()) and not any(wrong) else Status.DEGRADED

    def require_driver(self) -> None:
        """Raises NobodyDrives when a command would be written down and nobody would act on it, Overloaded when that
        would take too long.
        """
        ages = (self.vitals.age(child) for child in DRIVERS)
        if any(age is not None and age > DRIVERLESS_SECONDS for age in ages):
            fix = "try again later; what is paid already is safe"
            raise NobodyDrives("engine", "does not turn", fix, fault=Fault.COORDINATOR)
        found = self.progress
        if found is None:
            return
        if sum(found.inbox.values()) > HIGH_WATER or self.inbox_age(found) > LATE_INBOX_SECONDS:
            fix = "try again in a few seconds; what is paid already is safe"
            raise Overloaded("engine", "has more to do than it can", fix, fault=Fault.COORDINATOR)

    def is_healthy(self, component: Component) -> bool:
        """Whether a component is well, with hysteresis; one that was never looked at is not."""
        service = SERVICES.get(component)
        if service is not None:
            return self.dependencies.is_healthy(service)
        state = self._states.get(component)
        return state is not None and state.healthy

    async def _read(self) -> None:
        try:
            self.progress = await self.store.progress(float(self.clock.wall()))
        except Exception as error:
            # Whatever it is: the database could not be read, and the sampler has to live to say so.
            log.warning("progress cannot be read", error=type(error).__name__)
            self.progress = None
        self._note(Component.DATABASE, self.progress is not None)
        if self.progress is None:
            return
        late = max(self.due_ages(self.progress).values(), default=0.0)
        self._note(Component.DUTIES, late <= LATE_DUTY_SECONDS)
        self._note(Component.INBOX, self.inbox_age(self.progress) <= LATE_INBOX_SECONDS)
        lag = self.dependencies.chain_lag
        self._note(Component.CHAIN_LAG, lag is not None and lag <= LAG_BLOCKS)

    def _note(self, component: Component, well: bool) -> None:
        self._states.setdefault(component, Hysteresis()).note(well)

    def _allowed(self, child: Child) -> float:
        if child is Child.CHAIN:
            return 2 * self.poll_seconds + CHAIN_GRACE_SECONDS
        return DEPENDENCIES_SECONDS if child is Child.DEPENDENCIES else LOOP_SECONDS

    def due_ages(self, found: Progress) -> Mapping[str, float]:
        """Seconds that the oldest due duty of each channel waits to be claimed."""
        now = self.clock.wall()
        return {channel: max(0.0, now - since) for channel, since in found.due.items() if channel not in PATIENT}

    def inbox_age(self, found: Progress) -> float:
        """Age of the oldest new inbox row in seconds; 0 when there is none."""
        oldest = found.inbox_oldest
        return 0.0 if oldest is None else float(max(0, self.clock.wall() - oldest))
