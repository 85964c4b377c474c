"""The engine as one object: its loops under supervision, and the calls that the API makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from coordinator.domain.competitions.states import AwaitingKeygen, AwaitingSigning, Competition
from coordinator.domain.facts import Outage
from coordinator.domain.lane import Lane
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.alarms import Alarms
from coordinator.engine.applier import Applier
from coordinator.engine.apply import world_of
from coordinator.engine.chain import ChainLoop
from coordinator.engine.components import Child
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.executors.registry import executors
from coordinator.engine.executors.services import Services
from coordinator.engine.health import Health
from coordinator.engine.new_money import NewMoney
from coordinator.engine.operators.acting import House
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.retention import Retention
from coordinator.engine.submit import NO_SECRETS, Decide, UnknownCompetition, submit
from coordinator.engine.timers import TimerLoop
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.engine.worker import Worker
from coordinator.ports.alerts import AlertSink
from coordinator_core.errors import Fault

WINDOWED = (AwaitingKeygen, AwaitingSigning)
LEAST_DOWNTIME = 3
"""Seconds: a shorter silence of a competition is no outage."""
START_PRIORITY = 1
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0

log = structlog.get_logger()


class Engine:
    """Runs every competition of one database."""

    def __init__(self, services: Services, *, poll_seconds: float, alerts: Sequence[AlertSink] = ()) -> None:
        self.services = services
        self.store = services.store
        self.clock = services.clock
        self.wakeups = Wakeups()
        self.vitals = Vitals()
        self._chain = ChainLoop(
            self.store, services.chain, self.clock, self.wakeups, poll_seconds=poll_seconds, vitals=self.vitals
        )
        self.dependencies = Dependencies(services, self.clock, self.wakeups, self.vitals)
        self.health = Health(self.store, self.clock, self.dependencies, self.vitals, poll_seconds)
        self.freezer = Freezer(House(self.store, self.clock, self.wakeups))
        self.alarms = Alarms(self.health, self.freezer, alerts)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make sure of a chain cursor, ask every service once, then start every loop."""
        await self.freezer.load()
        await self._chain.start()
        await self.dependencies.look()
        await self._note_downtime()
        self._tasks = [
            asyncio.create_task(_supervise(child.value, loop, self.vitals), name=child.value)
            for child, loop in self._loops().items()
        ]

    def _loops(self) -> Mapping[Child, Callable[[], Awaitable[None]]]:
        observer, vitals = self.services.observer, self.vitals
        work = executors(self.services, self.new_money)
        return {
            Child.CHAIN: self._chain.run,
            Child.APPLY: Applier(self.store, self.clock, self.wakeups, observer, vitals).run,
            Child.DUTIES: Worker(self.store, self.clock, self.wakeups, work, observer, vitals).run,
            Child.TIMERS: TimerLoop(self.store, self.clock, self.wakeups, vitals).run,
            Child.DEPENDENCIES: self.dependencies.run,
            Child.RETENTION: Retention(self.store, self.clock).run,
            Child.HEALTH: self.health.run,
            Child.ALARMS: self.alarms.run,
        }

    async def _note_downtime(self) -> None:
        """We were down ourselves since a competition was last active: that time does not count against its players."""
        now = self.clock.wall()
        for lane in await self.store.lanes():
            state = await self._readable(lane)
            last = await self.store.last_activity(lane)
            if last is None or not isinstance(state, WINDOWED):
                continue
            if now - last >= LEAST_DOWNTIME:
                outage = Outage(service="coordinator", since=last, until=now)
                async with self.store.write() as tx:
                    await tx.put_facts(lane, [outage], "start", now)
                    await tx.notify(lane, START_PRIORITY, "start", f"{lane}/{now}", "start", now)

    async def _readable(self, lane: str) -> Competition | None:
        """The state of a competition; one that cannot be read is stopped, and the others go on."""
        try:
            record = await self.store.lane(lane)
            return None if record is None else codec.decode_state(record.state)
        except UnreadableRow as error:
            log.error("lane quarantined", lane=lane, error=str(error))
            async with self.store.write() as tx:
                await tx.quarantine(lane, str(error), self.clock.wall())
            return None

    def new_money(self) -> NewMoney:
        """Whether new money may come in, as every service last said."""
        return NewMoney(self.dependencies.market, self.dependencies.away, self.freezer.frozen)

    async def stop(self) -> None:
        """Stop the loops; what was claimed is taken up again when its lease ends."""
        self.health.stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def command(
        self, lane: str, kind: str, dkey: str, decide: Decide, secrets: Mapping[str, bytes] = NO_SECRETS
    ) -> bytes:
        """Submit a command; the answer as JSON. `secrets`: see submit."""
        answer = await submit(
            self.store,
            self.clock,
            self.wakeups,
            lane=lane,
            kind=kind,
            dkey=dkey,
            decide=decide,
            secrets=secrets,
        )
        self.services.observer.answered(lane, kind)
        return answer

    async def view(self, lane: str) -> tuple[Competition, Lane]:
        """State and facts of a competition as of now. Raises UnknownCompetition."""
        record = await self.store.lane(lane)
        if record is None:
            raise UnknownCompetition("competition", "is not known", "take an id from the list", fault=Fault.PLAYER)
        return codec.decode_state(record.state), codec.lane_of(record, await world_of(record, self.clock))

    async def views(self, lanes: Iterable[str]) -> list[tuple[Competition, Lane]]:
        """State and facts of several as of now; one that cannot be read hides itself and no other."""
        found: list[tuple[Competition, Lane]] = []
        for lane in lanes:
            try:
                found.append(await self.view(lane))
            except UnreadableRow as error:
                log.error("competition cannot be read", lane=lane, error=str(error))
        return found

    async def until(
        self, lane: str, ready: Callable[[Competition, Lane], bool], seconds: float
    ) -> tuple[Competition, Lane]:
        """Wait at most so long until a competition satisfies `ready`; state and facts as they are then."""
        changed = asyncio.Event()

        def heard(name: str) -> None:
            if name == lane:
                changed.set()

        stop = self.wakeups.listen(heard)
        try:
            async with asyncio.timeout(seconds):
                while not ready(*(await self.view(lane))):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            log.debug("waited in vain", lane=lane)
        finally:
            stop()
        return await self.view(lane)


async def _supervise(name: str, loop: Callable[[], Awaitable[None]], vitals: Vitals | None = None) -> None:
    """One for one: a loop that dies is started again after a pause that doubles; its siblings go on."""
    pause = FIRST_PAUSE
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await loop()
        except Exception:
            log.exception("loop died", loop=name)
        if vitals is not None:
            vitals.meters.restarts.add(name)
        if asyncio.get_running_loop().time() - started > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
