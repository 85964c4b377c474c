"""The timer loop: lanes whose time has come, by any clock or height, get an inbox row.

A timer says only "look again": what follows is decided from state and facts as they are then, and the lane sets its
next timer. So a clock that jumps loses nothing and does nothing twice: forward, everything that is due by then fires
once; back, a lane that was woken finds that it is too early, and waits again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.store import InboxClass, Store

RESOLUTION_SECONDS: Final = 0.25


class TimerLoop:
    """Fires timers by time, and those by height that the chain loop has not fired with their block."""

    def __init__(self, store: Store, clock: Clockwork, wakeups: Wakeups, vitals: Vitals | None = None) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            self._vitals.beat(Child.TIMERS)
            if not await self.step():
                await asyncio.sleep(RESOLUTION_SECONDS)

    async def step(self) -> bool:
        """Fire what is due, so much in one transaction; True when there may be more."""
        tip = await self._clock.tip()
        wall, domain = self._clock.wall(), await self._clock.domain()
        if not await self._store.timer_due(wall, domain, tip.height, median=tip.median_time_past):
            return False
        async with self._store.write() as tx:
            lanes = await tx.fire_timers(wall, domain, tip.height, median=tip.median_time_past)
            await tx.wake_lanes(lanes, InboxClass.TIMER, "timer", "timer", wall)
        self._wakeups.apply.set()
        return bool(lanes)
