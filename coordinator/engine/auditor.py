"""The auditor: once a minute it proves that every open competition has a reason to be idle, and is not late.

Idle for a reason means an open duty, a timer, or news that is not applied yet; that whoever is awaited until a moment
has one of them is proven for the pure functions themselves. A competition without any is a defect of ours: it is looked
at again, counted, told, and shown with what it waits for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import structlog

from coordinator.domain.competitions.missing import missing
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.operators.attention import Attention, Kind, noted
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.auditing import LateRow, Moments
from coordinator.ports.store import InboxClass, Store

EVERY_SECONDS: Final = 60.0
AT_ONCE: Final = 200
"""Competitions of one look that are named; there should be none."""
NAMED: Final = 3
"""Of those who are awaited, in one sentence."""

log = structlog.get_logger()


class Auditor:
    """One look a minute. `findings` are those of the last one: they are over when the next look does not see them."""

    def __init__(self, store: Store, clock: Clockwork, wakeups: Wakeups, vitals: Vitals | None = None) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self.findings: tuple[Attention, ...] = ()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self._vitals.beat(Child.AUDITOR)
            await self.step()
            await asyncio.sleep(EVERY_SECONDS)

    async def step(self) -> None:
        """One look at every open competition."""
        idle = [item for lane in await self._store.undriven(AT_ONCE) if (item := await self._heal(lane)) is not None]
        late = await self._store.late(await moments(self._clock), AT_ONCE)
        over = Counter(row.state for row in late)
        self._vitals.meters.over_budget.replace({state: float(number) for state, number in over.items()})
        self.findings = (*idle, *[await self._late(row) for row in late])

    async def _heal(self, lane: str) -> Attention | None:
        """Look at it again. None when it was driven meanwhile: what was read before the write lock may be past."""
        now = self._clock.wall()
        async with self._store.write() as tx:
            if not await tx.is_undriven(lane):
                return None
            await tx.wake_lanes([lane], InboxClass.RECONCILE, "audit", "audit", now)
        self._wakeups.apply.set()
        self._vitals.meters.liveness_violations.add()
        waits = await self._awaited(lane)
        log.error("liveness violation", lane=lane, awaited=waits)
        fix = f"coordinator admin reconcile {lane}, if it is not over in a minute"
        return noted(Kind.IDLE, lane, "competition", f"nothing drove it; {waits}", now, now, fix)

    async def _late(self, row: LateRow) -> Attention:
        reason = f"in {row.state} for longer than that should take; {await self._awaited(row.lane)}"
        fix = f"coordinator competition show {row.lane}"
        return noted(Kind.LATE, row.lane, "competition", reason, row.since, self._clock.wall(), fix)

    async def _awaited(self, lane: str) -> str:
        """Who a competition waits for, as a sentence."""
        try:
            record = await self._store.lane(lane)
        except UnreadableRow as error:
            return str(error)
        if record is None:
            return "it is gone"
        world = await world_of(record, self._clock)
        try:
            found = missing(codec.decode_state(record.state), codec.lane_of(record, world))
        except Exception as error:
            # Pure code over the rows of one competition: the others are audited whatever it raises.
            log.exception("nobody can say who is awaited", lane=lane)
            return f"nobody can say for whom it waits: {type(error).__name__}: {error}"
        who = [f"{one.party if one.entry_id is None else one.entry_id} to {one.what}" for one in found[:NAMED]]
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return f"it waits for {', '.join(who)}{more}" if who else "it waits for nobody"


async def moments(clock: Clockwork) -> Moments:
    """What every clock shows now."""
    tip = await clock.tip()
    return Moments(wall=clock.wall(), domain=await clock.domain(), median=tip.median_time_past, height=tip.height)
