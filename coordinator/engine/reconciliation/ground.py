"""What a comparison works with, and what it may do with what it finds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from coordinator.domain.facts import Fact
from coordinator.engine.executors.services import Services
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.money import OpenBook
from coordinator_core.units import UnixTime

SOURCE = "reconcile"
PRIORITY = 6
STOPS: str = "the outside contradicts it: "
"""What the reason of a competition begins with that a comparison stopped."""

log = structlog.get_logger()


@dataclass(slots=True)
class Ground:
    """One run of comparisons."""

    services: Services
    wakeups: Wakeups
    freeze: Callable[[str], Awaitable[object]]
    """Lets no new money in, with this reason."""
    beat: Callable[[], None]
    """A sign of life: a comparison of many competitions takes a while."""
    looked_at: int = 0
    """Things asked for outside so far."""
    judged: set[str] = field(default_factory=set[str])
    """Reserved coins (TXID:VOUT) that were compared in this run."""
    differences: list[str] = field(default_factory=list[str])
    """What became facts, in words."""
    contradictions: set[str] = field(default_factory=set[str])
    """What stopped a competition or froze new money, in words; once, however often it is found."""
    alarms: dict[str, UnixTime] = field(default_factory=dict[str, UnixTime])
    """Those of them that concern the whole house, with when they were found first (wall clock)."""

    async def competitions(self, *kinds: type[Fact]) -> AsyncIterator[OpenBook]:
        """Every competition that is not over, with its facts of these kinds; one that cannot be read is stopped, the
        others go on.
        """
        async for book in self.services.store.open_books(kinds):
            self.beat()
            if book.unreadable is None:
                yield book
            elif book.quarantined is None:
                log.error("lane quarantined", lane=book.lane, error=book.unreadable)
                async with self.services.store.write() as tx:
                    await tx.quarantine(book.lane, book.unreadable, self.services.clock.wall())

    async def difference(self, lane: str, facts: Sequence[Fact], what: str) -> None:
        """The outside knows more than the database: that becomes facts, and the competition looks at itself."""
        now = self.services.clock.wall()
        async with self.services.store.write() as tx:
            if not await tx.put_facts(lane, facts, SOURCE, now):
                return
            await tx.notify(lane, PRIORITY, SOURCE, f"{lane}/{facts[0].kind()}/{facts[0].key}/{now}", SOURCE, now)
        self.differences.append(f"{lane}: {what}")
        log.warning("difference became a fact", lane=lane, what=what)
        self.wakeups.apply.set()

    async def search_again(self, lane: str, what: str) -> None:
        """The chain holds what the database missed: every watch of the competition is searched for again."""
        async with self.services.store.write() as tx:
            await tx.search_again(lane)
        self.differences.append(f"{lane}: {what}")
        log.warning("chain is searched again", lane=lane, what=what)

    async def contradiction(self, book: OpenBook, what: str) -> None:
        """The outside says the opposite of a fact that is final: this competition stops, what protects goes on."""
        self.contradictions.add(f"{book.lane}: {what}")
        log.error("contradiction", lane=book.lane, what=what)
        if book.quarantined is None:
            async with self.services.store.write() as tx:
                await tx.quarantine(book.lane, f"{STOPS}{what}", self.services.clock.wall())

    async def alarm(self, what: str) -> None:
        """Something concerns the whole house: no new money until an operator has looked."""
        self.contradictions.add(what)
        self.alarms.setdefault(what, self.services.clock.wall())
        log.error("contradiction", what=what)
        await self.freeze(what)
