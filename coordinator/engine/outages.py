"""Outages that nobody's duty would meet: while players seal or approve, it is they who talk to the gateway.

Time in which coordinator, gateway, oracle or node was down does not count against anyone (money section 5). A duty that
meets no answer writes that down for its own competition; here it is written for every closing, from what `Dependencies`
hear of the services themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from coordinator.domain.competitions.states import (
    AwaitingEscrow,
    AwaitingKeygen,
    AwaitingSigning,
    EntriesSubmitted,
    EscrowConfirmed,
    EventCreated,
)
from coordinator.domain.facts import Outage
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.components import Dependency
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.store import InboxClass, Store
from coordinator_core.units import UnixTime

CLOSING: Final = tuple(
    str(state.__struct_config__.tag)
    for state in (AwaitingEscrow, EscrowConfirmed, EventCreated, AwaitingKeygen, EntriesSubmitted, AwaitingSigning)
)
"""States that end by a window, or with the closing."""
NEEDED: Final = frozenset({Dependency.CHAIN, Dependency.ORACLE, Dependency.KEYMELD})
LEAST_SECONDS: Final = 3
"""A single look in vain is no outage."""
AHEAD_SECONDS: Final = 30
"""Each part reaches so far beyond now: a long outage is some facts, not one for each look."""
MARGIN_SECONDS: Final = 12
"""The next part is written when less than this is left: a look, and the patience with one that hangs."""


@dataclass(slots=True)
class _Part:
    outage: Outage
    told: set[str] = field(default_factory=set[str])


class Outages:
    """Writes down, part by part, how long a service has been away, for each competition that is closing."""

    def __init__(self, store: Store, clock: Clockwork, wakeups: Wakeups) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._parts: dict[Dependency, _Part] = {}

    async def note(self, away: Mapping[Dependency, UnixTime]) -> None:
        """What is away, and since when, as of the look that just ended. Called after each."""
        now = self._clock.wall()
        self._parts = {name: part for name, part in self._parts.items() if name in away}
        for name in NEEDED & away.keys():
            if now - away[name] >= LEAST_SECONDS:
                self._parts[name] = self._part(name, away[name], now)
        if self._parts:
            await self._tell(now)

    def _part(self, name: Dependency, since: UnixTime, now: UnixTime) -> _Part:
        last = self._parts.get(name)
        if last is not None and last.outage.until - now > MARGIN_SECONDS:
            return last
        since = since if last is None else last.outage.until
        return _Part(Outage(service=name.value, since=since, until=UnixTime(now + AHEAD_SECONDS)))

    async def _tell(self, now: UnixTime) -> None:
        told: list[tuple[str, list[_Part]]] = []
        async with self._store.write() as tx:
            for lane in await tx.lanes_in(CLOSING):
                news = [part for part in self._parts.values() if lane not in part.told]
                if await tx.put_facts(lane, [part.outage for part in news], "dependencies", now):
                    key = "/".join(f"{part.outage.service}@{part.outage.since}" for part in news)
                    await tx.notify(lane, InboxClass.STATUS, "dependencies", f"{lane}/{key}", "outage", now)
                told.append((lane, news))
        # Not before it is committed: what was rolled back is told at the next look.
        for lane, news in told:
            for part in news:
                part.told.add(lane)
        self._wakeups.apply.set()
