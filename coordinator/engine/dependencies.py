"""Which services answer now: asked from time to time, and at once when a duty met one that does not.

New money hangs on all of them (money section 1): what nobody has answered for since the start counts as away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog
from msgspec import Struct

from coordinator.domain.gates import Consequence, Sight, held
from coordinator.engine import holds
from coordinator.engine.breakers import Breakers
from coordinator.engine.chain.lookout import Lookout
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child, Dependency
from coordinator.engine.executors.contracts import fee_market
from coordinator.engine.executors.services import Services
from coordinator.engine.outages import Outages
from coordinator.engine.vitals import Hysteresis, Vitals
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.ports.faults import PortError, Unsuitable
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.errors import CoreError, Fault
from coordinator_core.units import Blocks, UnixTime

PROBE_SECONDS = 15.0
AWAY_SECONDS = 3.0
"""While a service is away: a node that is briefly behind its chain stops nobody for long."""
LEAST_PAUSE = 1.0
"""Between two rounds, however many duties fail meanwhile."""
PATIENCE_SECONDS = 5.0
NEVER_ANSWERED = "has not answered yet"
NO_ANSWER = "does not answer"
UNSUITABLE = "cannot be used as it is set up"

log = structlog.get_logger()


FAULTS: Mapping[Dependency, Fault] = {
    Dependency.LIGHTNING: Fault.LIGHTNING,
    Dependency.CHAIN: Fault.NODE,
    Dependency.ORACLE: Fault.ORACLE,
    Dependency.KEYMELD: Fault.SIGNER,
}


class Away(Struct, frozen=True):
    """A service that cannot be relied on. The reason is for everyone; what it said itself is in the log."""

    dependency: Dependency
    since: UnixTime
    """Wall clock."""
    reason: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.dependency.value} {self.reason}"


class NotUsable(Exception):
    """A service answers, but cannot do its part now."""


class Dependencies:
    """One light question to each service every 15 s, every 3 s while one is away; at once after a failure elsewhere."""

    def __init__(
        self,
        services: Services,
        clock: Clockwork,
        wakeups: Wakeups,
        vitals: Vitals | None = None,
        breakers: Breakers | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._breakers = breakers
        self._health = {dependency: Hysteresis() for dependency in Dependency}
        self.lookout = Lookout(self._vitals.clock, clock.wall, development=clock.chain_time)
        self._outages = Outages(services.store, clock, wakeups)
        self._services = services
        self._clock = clock
        self._wakeups = wakeups
        self._away: dict[Dependency, Away | None] = {}
        self._began = clock.wall()
        self._market: FeeMarket | None = None
        self._cancel_delta: Blocks | None = None
        """As Lightning said; None while it has not answered."""
        self._probes: Mapping[Dependency, Callable[[], Awaitable[None]]] = {
            Dependency.LIGHTNING: self._lightning,
            Dependency.CHAIN: self._chain,
            Dependency.ORACLE: self._oracle,
            Dependency.KEYMELD: self._keymeld,
        }

    @property
    def away(self) -> tuple[Away, ...]:
        """Services that do not answer now, or have not been asked yet."""
        never = {d: Away(d, self._began, NEVER_ANSWERED) for d in Dependency if d not in self._away}
        found = {**self._away, **never}
        found[Dependency.CHAIN] = found[Dependency.CHAIN] or self._lagging()
        return tuple(away for away in (found[d] for d in Dependency) if away is not None)

    def _lagging(self) -> Away | None:
        """The chain, while it is too far ahead of us to let new money in."""
        sight = self.lookout.sight()
        if sight.lag is None:
            return None
        lag = held(Consequence.ENTRY, Sight(lag=sight.lag, late=sight.late, lightning=True))
        if lag is None:
            return None
        since = self._clock.wall() - int(self.lookout.report().since_seconds or 0)
        return Away(Dependency.CHAIN, UnixTime(since), f"is ahead: {lag}")

    @property
    def chain_lag(self) -> int | None:
        """Blocks that the node has and we have not stored; None while the node is away."""
        return self.lookout.behind

    @property
    def market(self) -> FeeMarket | None:
        """Fees as the node last said, at most a round old; None while it is away."""
        return self._market

    def is_healthy(self, dependency: Dependency) -> bool:
        """Whether a service is well: not from one flap to the next, as `away` is, but with hysteresis. One that was not
        asked yet is not.
        """
        return dependency in self._away and self._health[dependency].healthy

    async def run(self) -> None:
        """Ask for ever. The first round is `look`, before the loops start."""
        while True:
            self._vitals.beat(Child.DEPENDENCIES)
            await asyncio.sleep(LEAST_PAUSE)
            pause = AWAY_SECONDS if self.away else PROBE_SECONDS
            await wait(self._wakeups.probe, pause * random.uniform(0.8, 1.2))
            await self.look()

    async def look(self) -> None:
        """One round: every service at the same time, none longer than five seconds."""
        await asyncio.gather(*(self.ask(dependency) for dependency in Dependency))
        await self._outages.note({away.dependency: away.since for away in self.away})
        if self._cancel_delta is not None:
            await holds.remember(self._services.store, self._cancel_delta)

    async def ask(self, dependency: Dependency) -> None:
        """One question to one service, and what came of it."""
        began = self._clock.wall()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._probes[dependency]()
        except NotUsable as error:
            self.record(dependency, began, str(error))
        except Unsuitable as error:
            log.debug("unsuitable", dependency=dependency.value, error=str(error))
            self.record(dependency, began, UNSUITABLE)
        except (PortError, CoreError, TimeoutError) as error:
            log.debug("no answer", dependency=dependency.value, error=str(error))
            self.record(dependency, began, NO_ANSWER)
        except Exception:
            # A defect of ours must not leave a service marked as usable that nobody could ask.
            log.exception("probe raised", dependency=dependency.value)
            self.record(dependency, began, NO_ANSWER)
        else:
            self.record(dependency, began, None)

    def record(self, dependency: Dependency, asked_at: UnixTime, reason: str | None) -> None:
        """What came of a question that was put at `asked_at` (wall clock); `reason` None: it can be relied on."""
        known = self._away.get(dependency)
        self._health[dependency].note(reason is None)
        self._vitals.meters.probes.add(dependency.value, "up" if reason is None else "down")
        if reason is None:
            self._away[dependency] = None
            if known is not None:
                log.info("dependency is back", dependency=dependency.value)
                self._resume(dependency)
            return
        if known is None:
            log.warning("dependency is away", dependency=dependency.value, reason=reason)
        if dependency is Dependency.CHAIN:
            self._market = None
            self.lookout.silent()
        if dependency is Dependency.LIGHTNING and reason in (NO_ANSWER, UNSUITABLE):
            self.lookout.lightning(None)
        first = asked_at if dependency in self._away else self._began
        self._away[dependency] = Away(dependency, known.since if known is not None else first, reason)

    def _resume(self, dependency: Dependency) -> None:
        """Duties that were held back because nobody answered go on at once."""
        if self._breakers is not None:
            self._breakers.back(dependency)
            self._wakeups.duties.set()

    async def _lightning(self) -> None:
        info = await self._services.lightning.info()
        self._clock.cancel_delta = self._cancel_delta = info.cancel_delta
        if not info.synced_to_chain:
            # The block that it is behind of may be one that nobody here has heard of yet.
            with suppress(PortError):
                await self._hear()
        self.lookout.lightning(info.synced_to_chain)
        if not self.lookout.lightning_in_step:
            raise NotUsable("is not synced to the chain")

    async def _chain(self) -> None:
        self._market = await fee_market(self._services)
        await self._hear()

    async def _hear(self) -> None:
        node = await self._services.chain.tip()
        self.lookout.stored((await self._clock.tip()).height)
        self.lookout.heard(node.known, node.time)

    async def _oracle(self) -> None:
        await self._services.oracle.public_key()

    async def _keymeld(self) -> None:
        if not await self._services.keymeld.enclaves():
            raise NotUsable("has no healthy enclave")
