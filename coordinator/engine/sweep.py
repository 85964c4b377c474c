"""The hourly sweep: what follows from the state and facts of every open competition is derived again and compared with
what is stored. A difference is a bug of ours: told, counted, and mended by looking at the competition once more.

Nothing relies on it. Duties are durable, and the pure functions say themselves until when nothing changes by itself;
so a competition that has no news and no timer that is due must be found exactly as it was left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog

from coordinator.domain.protection import moves_while_stopped
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import TERMINAL, Applied, InvariantViolation, decide, world_of
from coordinator.engine.auditor import moments
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Child
from coordinator.engine.metrics.meters import Derived
from coordinator.engine.operators.attention import Attention, Kind, noted
from coordinator.engine.vitals import Vitals
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.auditing import Moments, Stored
from coordinator.ports.store import InboxClass, Store
from coordinator.ports.timing import Wake

FIRST_SECONDS: Final = 300.0
EVERY_SECONDS: Final = 3_600.0
PAUSE_SECONDS: Final = 0.02
"""Between two competitions: about three quarters of the time are left to the work, however many there are."""
TRIES: Final = 3
"""How often a competition is read again while blocks come in."""

log = structlog.get_logger()


class Sweep:
    """One sweep an hour, the first a few minutes after the start. `findings` are those of the last one."""

    def __init__(self, store: Store, clock: Clockwork, wakeups: Wakeups, vitals: Vitals | None = None) -> None:
        self._vitals = vitals or Vitals()
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self.findings: tuple[Attention, ...] = ()

    async def run(self) -> None:
        """Sweep for ever."""
        self._vitals.beat(Child.SWEEP)
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            await self.step()
            await asyncio.sleep(EVERY_SECONDS)

    async def step(self) -> None:
        """Compare every open competition, one after the other."""
        found: list[Attention] = []
        for lane in await self._store.unfinished():
            self._vitals.beat(Child.SWEEP)
            if differences := await self._compare(lane):
                found.append(await self._mend(lane, differences))
            await asyncio.sleep(PAUSE_SECONDS)
        self._vitals.beat(Child.SWEEP)
        self.findings = tuple(found)

    async def _compare(self, lane: str) -> list[tuple[Derived, str]]:
        for _ in range(TRIES):
            try:
                stored = await self._store.stored(lane)
                if stored is None or _stands_still(stored):
                    return []
                world = await world_of(stored.record, self._clock)
                # After it: a timer that came due in between is no difference.
                now = await moments(self._clock)
                if is_busy(stored, now):
                    return []
                if world.tip == now.height:
                    return list(differences_of(stored, decide(stored.record, world)))
            except (UnreadableRow, InvariantViolation):
                # It is stopped as soon as it is applied, and told of then.
                return []
        return []

    async def _mend(self, lane: str, differences: list[tuple[Derived, str]]) -> Attention:
        now = self._clock.wall()
        for what, name in differences:
            log.error("what is stored differs from what follows", lane=lane, what=what, name=name)
            self._vitals.meters.rederived.add(what)
        async with self._store.write() as tx:
            await tx.wake_lanes([lane], InboxClass.RECONCILE, "sweep", "sweep", now)
        self._wakeups.apply.set()
        named = ", ".join(f"{what} {name}".strip() for what, name in differences[:3])
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        reason = f"what is stored differed from what follows, and was mended: {named}{more}"
        return noted(Kind.DIFFERED, lane, "competition", reason, now, now, "keep the log and the database for a report")


def is_busy(stored: Stored, now: Moments) -> bool:
    """True when a competition is about to be looked at anyway: it has news, or a timer is due."""
    wake = stored.wake
    pairs = (wake.wall, now.wall), (wake.domain, now.domain), (wake.median, now.median), (wake.height, now.height)
    return stored.news or any(due is not None and due <= present for due, present in pairs)


def _stands_still(stored: Stored) -> bool:
    """A stopped competition is not applied, so nothing follows from what it learns meanwhile."""
    return stored.record.quarantined is not None and not moves_while_stopped(codec.decode_state(stored.record.state))


def differences_of(stored: Stored, applied: Applied) -> Iterator[tuple[Derived, str]]:
    """(what, its name) of everything that is stored otherwise than it follows."""
    for before, after, _ in applied.steps:
        yield Derived.STEP, f"{before} to {after}"
    for name in applied.duties.keys() - stored.duties.keys():
        yield Derived.DUTY, name
    for name, status in stored.duties.items():
        if status == "open" and name not in applied.duties:
            yield Derived.UNWANTED_DUTY, name
    if stored.wake != applied.wake:
        yield Derived.TIMER, _named(stored.wake, applied.wake)
    if stored.budget != applied.budget:
        yield Derived.BUDGET, _named(stored.budget, applied.budget)
    # Retention forgets what competitions that are over looked for.
    ended = codec.tag(applied.state) in TERMINAL
    for watch in () if ended else applied.watches.keys() - stored.watches:
        yield Derived.WATCH, f"{watch.keytype} {watch.key}"


def _named(stored: Wake, follows: Wake) -> str:
    return f"{stored} instead of {follows}"
