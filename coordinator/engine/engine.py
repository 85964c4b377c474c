"""The engine as one object: its loops under supervision, and the calls that the API makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Outage
from coordinator.domain.lane import Lane
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.alarms import Alarms
from coordinator.engine.applier import Applier
from coordinator.engine.apply import world_of
from coordinator.engine.auditor import Auditor
from coordinator.engine.breakers import Breakers
from coordinator.engine.chain import ChainLoop
from coordinator.engine.children import plans
from coordinator.engine.components import Child
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.draining import DRAIN_SECONDS, drain
from coordinator.engine.executors.registry import executors
from coordinator.engine.executors.services import Services
from coordinator.engine.gates import ChainGate, Gates
from coordinator.engine.health import Health
from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.new_money import NewMoney
from coordinator.engine.operators.acting import House
from coordinator.engine.operators.attention import Attention
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import SettleOnly
from coordinator.engine.outages import CLOSING
from coordinator.engine.retention import Retention
from coordinator.engine.slots import DEFAULT_LIMITS
from coordinator.engine.submit import NO_SECRETS, Decide, UnknownCompetition, submit
from coordinator.engine.supervisor import Run, Supervisor
from coordinator.engine.sweep import Sweep
from coordinator.engine.timers import TimerLoop
from coordinator.engine.turns import AT_ONCE, Turns
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.engine.worker import Worker
from coordinator.ports.alerts import AlertSink
from coordinator_core.errors import Fault, Misuse

LEAST_DOWNTIME = 3
"""Seconds: a shorter silence of a competition is no outage."""
START_PRIORITY = 1
LONGEST_WAIT_SECONDS = 900.0
"""Above every pause that is set: the longest, ten minutes, is a payment's."""

log = structlog.get_logger()


class Engine:
    """Runs every competition of one database."""

    def __init__(
        self,
        services: Services,
        *,
        poll_seconds: float,
        alerts: Sequence[AlertSink] = (),
        duty_limits: Mapping[str, int] = DEFAULT_LIMITS,
        closings_at_once: int = AT_ONCE,
        settle_only: bool = False,
    ) -> None:
        self.services = services
        self.store = services.store
        self.clock = services.clock
        self.wakeups = Wakeups()
        self.vitals = Vitals()
        self.breakers = Breakers(self.vitals.clock, self.vitals.meters.breakers)
        self._duty_limits = duty_limits
        self.dependencies = Dependencies(services, self.clock, self.wakeups, self.vitals, self.breakers)
        self._chain = ChainLoop(
            *(self.store, services.chain, self.clock, self.wakeups),
            poll_seconds=poll_seconds,
            vitals=self.vitals,
            lookout=self.dependencies.lookout,
        )
        self.health = Health(self.store, self.clock, self.dependencies, self.vitals, poll_seconds)
        self.health.silent_channels = lambda: self.breakers.open
        house = House(self.store, self.clock, self.wakeups, services.observer)
        self.freezer = Freezer(house)
        self.settle_only = SettleOnly(house, configured=settle_only)
        self.money = MoneyOffice(services, house, self.freezer, self.settle_only, self.vitals)
        self.alarms = Alarms(self.health, self.freezer, alerts, self.needs)
        self.auditor = Auditor(self.store, self.clock, self.wakeups, self.vitals)
        self.sweep = Sweep(self.store, self.clock, self.wakeups, self.vitals)
        self._plans = plans(poll_seconds)
        self._turns = Turns(self.store, self.vitals.clock, closings_at_once)
        self._worker: Worker | None = None
        self._supervisor: Supervisor | None = None

    async def start(self) -> None:
        """Make sure of a chain cursor, ask every service once, then start every loop. Does nothing once it runs."""
        if self._supervisor is not None:
            return
        await self.freezer.load()
        await self.settle_only.load()
        await self._chain.start()
        await self.dependencies.look()
        await self._note_downtime()
        async with self.store.write() as tx:
            # What waits for longer than anything here ever does, waits because the wall clock went back meanwhile.
            await tx.end_long_waits(self.clock.precise(), LONGEST_WAIT_SECONDS)
        await self._turns.load()
        work = executors(self.services, self.new_money, self._turns)
        observer = self.services.observer
        self._worker = Worker(
            *(self.store, self.clock, self.wakeups, work, observer, self.vitals),
            gates=Gates(ChainGate(self.services, self.dependencies.lookout), house=self.money.gate.held),
            limits=self._duty_limits,
            breakers=self.breakers,
        )
        self._supervisor = Supervisor(self._loops(self._worker), self._plans, self.vitals)
        self.health.children = self._supervisor.states
        self._supervisor.start()

    def _loops(self, worker: Worker) -> Mapping[Child, Run]:
        observer, vitals = self.services.observer, self.vitals
        return {
            Child.CHAIN: self._chain.run,
            Child.APPLY: Applier(self.store, self.clock, self.wakeups, observer, vitals).run,
            Child.DUTIES: worker.run,
            Child.TIMERS: TimerLoop(self.store, self.clock, self.wakeups, vitals).run,
            Child.DEPENDENCIES: self.dependencies.run,
            Child.RETENTION: Retention(self.store, self.clock, vitals).run,
            Child.HEALTH: self.health.run,
            Child.ALARMS: self.alarms.run,
            Child.MONEY: self.money.run,
            Child.AUDITOR: self.auditor.run,
            Child.SWEEP: self.sweep.run,
        }

    async def _note_downtime(self) -> None:
        """We were down ourselves since a competition was last active: that time does not count against its players."""
        now = self.clock.wall()
        # Only those in their closing: however many others are open, a start takes no longer.
        for lane in await self.store.going_in(CLOSING):
            last = await self.store.last_activity(lane)
            if last is None or await self._readable(lane) is None:
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

    def needs(self) -> tuple[Attention, ...]:
        """What the house's money, the auditor and the hourly sweep found to need a person."""
        return (*self.money.needs(), *self.auditor.findings, *self.sweep.findings)

    def new_money(self) -> NewMoney:
        """Whether new money may come in, as every service last said."""
        money = self.money
        return NewMoney(
            *(self.dependencies.market, self.dependencies.away, self.freezer.frozen),
            house=money.pauses(),
            able=money.handshake.lacking,
        )

    async def escalation(self) -> str:
        """Waits for the reason why this process has to end: a loop that money hangs on cannot be kept alive. Raises
        Misuse before the start.
        """
        if self._supervisor is None:
            raise Misuse("the engine does not run")
        return await self._supervisor.escalation()

    async def stop(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Stop the loops, see `draining.drain`. False when something was cut off; it is taken up again at the next
        start. Once it is stopped this does nothing.
        """
        self.health.stopping = True
        supervisor, worker = self._supervisor, self._worker
        self._supervisor = self._worker = None
        if supervisor is None or worker is None:
            return True
        return await drain(
            *(supervisor, worker, self.store, self.wakeups),
            wall=self.clock.wall,
            clock=self.vitals.clock,
            seconds=seconds,
        )

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
            observer=self.services.observer,
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
