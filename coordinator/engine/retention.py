"""Retention: each hour what nobody needs any more is forgotten. Facts, transitions, pins, blobs, secrets and the audit
log stay for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.vitals import Vitals
from coordinator.ports.operating import Leftover
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime

FIRST_SECONDS: Final = 60.0
EVERY_SECONDS: Final = 3_600.0
BATCH: Final = 500
_DAY: Final = 86_400
AGES: Final[Mapping[Leftover, int]] = {
    Leftover.NEWS: 7 * _DAY,
    Leftover.COMMANDS: 30 * _DAY,
    Leftover.DUTIES: 30 * _DAY,
    Leftover.ATTEMPTS: 90 * _DAY,
    Leftover.WATCHES: 30 * _DAY,
    Leftover.BLOCKS: 7 * _DAY,
    Leftover.ALERTS: 90 * _DAY,
}

log = structlog.get_logger()


class Retention:
    """One sweep an hour, the first a minute after the start."""

    def __init__(self, store: Store, clock: Clockwork, vitals: Vitals | None = None) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Sweep for ever."""
        self._vitals.beat(Child.RETENTION)
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            self._vitals.beat(Child.RETENTION)
            await self.sweep()
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> Mapping[Leftover, int]:
        """Forget everything that is old enough, a batch a transaction; how much of each."""
        gone: dict[Leftover, int] = {}
        for what, age in AGES.items():
            before = UnixTime(self._clock.wall() - age)
            gone[what] = 0
            while batch := await self._store.retire(what, before, BATCH):
                gone[what] += batch
        if any(gone.values()):
            log.info("retention", **{what.value: number for what, number in gone.items()})
        return gone
