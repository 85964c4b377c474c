"""The timer loop: lanes whose wall-clock or domain-clock time has come get an inbox row."""

from __future__ import annotations

import asyncio
import uuid

from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.store import Store

RESOLUTION_SECONDS = 0.25
TIMER_PRIORITY = 5


class TimerLoop:
    """Fires timers by time; those by height fire with their block."""

    def __init__(self, store: Store, clock: Clockwork, wakeups: Wakeups, vitals: Vitals | None = None) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            self._vitals.beat(Child.TIMERS)
            await self.step()
            await asyncio.sleep(RESOLUTION_SECONDS)

    async def step(self) -> None:
        """Fire what is due."""
        tip = await self._clock.tip()
        wall = self._clock.wall()
        domain = await self._clock.domain()
        if not await self._store.timer_due(wall, domain, tip.height):
            return
        async with self._store.write() as tx:
            for lane in await tx.fire_timers(wall, domain, tip.height):
                await tx.notify(lane, TIMER_PRIORITY, "timer", uuid.uuid4().hex, "timer", wall)
        self._wakeups.apply.set()
