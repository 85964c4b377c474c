"""One comparison for each run of the coordinator: until it is complete no payment, no funding and no ticket leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

import structlog
from msgspec import Struct

from coordinator.engine.reconciliation.coins import compare_coins
from coordinator.engine.reconciliation.ground import Ground
from coordinator.engine.reconciliation.invoices import compare_invoices
from coordinator.engine.reconciliation.payments import Unexplained, compare_payments
from coordinator.engine.reconciliation.transactions import compare_transactions
from coordinator.ports.faults import PortError
from coordinator.ports.lightning import ListedInvoice
from coordinator_core.errors import CoreError
from coordinator_core.units import UnixTime

PATIENCE_SECONDS = 300.0
"""For one comparison; it is begun again after that."""
WAITING = "database, chain and Lightning are being compared"

log = structlog.get_logger()


class Comparison(StrEnum):
    """What is compared, in this order."""

    TRANSACTIONS = "transactions"
    COINS = "coins"
    INVOICES = "invoices"
    PAYMENTS = "payments"


class Progress(Struct, frozen=True, kw_only=True):
    """How far it is. Sentences hold no secrets."""

    complete: bool
    done: tuple[str, ...]
    waits_for: str
    """Why the next comparison could not be made the last time; empty when nothing kept it."""
    looked_at: int
    differences: int
    contradictions: int
    finished_at: UnixTime | None
    """Wall clock; of the last time, if it was made again."""


class Reconciliation:
    """The comparison of this run."""

    def __init__(self, ground: Ground, explained: Callable[[], Awaitable[frozenset[str]]]) -> None:
        """`explained`: hashes of payments that operators have explained."""
        self._ground = ground
        self._explained = explained
        self._done: list[Comparison] = []
        self._waits_for = ""
        self.finished_at: UnixTime | None = None
        self.began = ground.services.clock.wall()
        self.unexplained = Unexplained()
        self.strangers: tuple[ListedInvoice, ...] = ()
        """Held and settled invoices over terms of ours that no ticket explains."""
        self._compare: Mapping[Comparison, Callable[[], Awaitable[None]]] = {
            Comparison.TRANSACTIONS: lambda: compare_transactions(ground),
            Comparison.COINS: lambda: compare_coins(ground),
            Comparison.INVOICES: self._invoices,
            Comparison.PAYMENTS: self._payments,
        }

    @property
    def is_complete(self) -> bool:
        """True once everything was compared in this run."""
        return self.finished_at is not None

    @property
    def waits(self) -> str | None:
        """Why no money may move yet; None once it may."""
        if self.is_complete:
            return None
        return f"{WAITING} ({len(self._done)} of {len(Comparison)})"

    @property
    def alarms(self) -> Mapping[str, UnixTime]:
        """What froze new money in this run, or would have if it had not been frozen, and when it was found first."""
        return self._ground.alarms

    def progress(self) -> Progress:
        """As it is now."""
        return Progress(
            complete=self.is_complete,
            done=tuple(item.value for item in self._done),
            waits_for=self._waits_for,
            looked_at=self._ground.looked_at,
            differences=len(self._ground.differences),
            contradictions=len(self._ground.contradictions),
            finished_at=self.finished_at,
        )

    async def advance(self) -> bool:
        """Make every comparison that is not made yet; True once all are. What cannot be asked now is asked again."""
        for item in Comparison:
            if item not in self._done:
                if not await self._tried(item):
                    return False
                self._done.append(item)
        if self.finished_at is None:
            log.info("database, chain and Lightning compared", **_words(self))
            self._ground.wakeups.duties.set()
        self.finished_at = self._ground.services.clock.wall()
        return True

    async def again(self) -> None:
        """Lightning once more, while payments go on: what left the node without us since."""
        for item in (Comparison.INVOICES, Comparison.PAYMENTS):
            if not await self._tried(item):
                return
        self.finished_at = self._ground.services.clock.wall()

    async def _tried(self, item: Comparison) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._compare[item]()
        except (PortError, CoreError, TimeoutError) as error:
            self._waits_for = f"{item.value}: {error or 'took too long'}"
            log.warning("cannot compare now", comparison=item.value, error=str(error))
            return False
        self._waits_for = ""
        return True

    async def _invoices(self) -> None:
        self.strangers = await compare_invoices(self._ground)

    async def _payments(self) -> None:
        found = await compare_payments(self._ground, await self._explained())
        found.follow(self.unexplained)
        self.unexplained = found


def _words(made: Reconciliation) -> dict[str, object]:
    progress = made.progress()
    return {
        "looked_at": progress.looked_at,
        "differences": progress.differences,
        "contradictions": progress.contradictions,
        "unexplained_payments": len(made.unexplained.payments),
        "unexplained_invoices": len(made.strangers),
    }
