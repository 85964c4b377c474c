"""The apply loop: news of lanes, the most urgent first, becomes transitions; a few lanes share a transaction."""

from __future__ import annotations

import random
from collections.abc import Sequence

import structlog

from coordinator.domain.protection import moves_while_stopped
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import Applied, InvariantViolation, apply_lane
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.inbox import GROUP, Turns
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.ports.correlation import carrying
from coordinator.ports.store import Store, Transaction

IDLE_SECONDS = 0.5

log = structlog.get_logger()


class Applier:
    """Turns inbox rows into transitions until stopped."""

    def __init__(
        self,
        store: Store,
        clock: Clockwork,
        wakeups: Wakeups,
        observer: EngineObserver = UNOBSERVED,
        vitals: Vitals | None = None,
    ) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._observer = observer
        self._turns = Turns()

    async def run(self) -> None:
        """Apply for ever."""
        while True:
            self._vitals.beat(Child.APPLY)
            if not await self.step():
                await wait(self._wakeups.apply, IDLE_SECONDS * random.uniform(0.8, 1.2))

    async def step(self) -> bool:
        """Apply the next lanes; False when there is nothing to do."""
        lanes = self._turns.choose(await self._store.news(GROUP))
        if not lanes:
            return False
        try:
            await self._apply(lanes)
        except Exception as error:
            if len(lanes) == 1 and not isinstance(error, (InvariantViolation, UnreadableRow, ValueError)):
                raise
            # Nothing was written. Alone, each shows whether it is the one that contradicts itself.
            for lane in lanes:
                await self._apply_alone(lane)
        return True

    async def _apply_alone(self, lane: str) -> None:
        try:
            await self._apply([lane])
        except (InvariantViolation, UnreadableRow, ValueError) as error:
            await self._quarantine(lane, error)
            self._told(lane)

    async def _apply(self, lanes: Sequence[str]) -> None:
        """In one transaction. Raises what one of them makes it."""
        done: list[Applied] = []
        async with self._store.write() as tx:
            for lane in lanes:
                with carrying(await tx.cause(lane)):
                    applied = await self._applied(tx, lane)
                if applied is not None:
                    done.append(applied)
        for applied in done:
            self._observer.applied(applied.lane.id, applied.reached)
            for before, after, _ in applied.steps:
                self._vitals.meters.transitions.add(before, after)
            self._told(applied.lane.id)

    def _told(self, lane: str) -> None:
        self._wakeups.duties.set()
        self._wakeups.changed(lane)

    async def _applied(self, tx: Transaction, lane: str) -> Applied | None:
        """None for a competition that is not applied now. Raises InvariantViolation, UnreadableRow."""
        record = await tx.load(lane)
        if record is None:
            await tx.finish_inbox(lane, self._clock.wall())
            return None
        if record.quarantined is not None and not moves_while_stopped(codec.decode_state(record.state)):
            await tx.park_inbox(lane, record.quarantined, self._clock.wall())
            return None
        applied = await apply_lane(tx, record, self._clock)
        await tx.finish_inbox(lane, self._clock.wall())
        return applied

    async def _quarantine(self, lane: str, error: Exception) -> None:
        log.error("lane quarantined", lane=lane, error=str(error))
        self._vitals.meters.quarantines.add()
        async with self._store.write() as tx:
            await tx.quarantine(lane, str(error), self._clock.wall())
