"""The node's outgoing payments against payout rows, and what a payment that no row explains may have paid.

Money section 8: an unexplained payment puts a hold on every prize it could have paid, until an operator explains it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from coordinator.domain.duties import PayPrize
from coordinator.domain.facts import Entry, Payout, PrizeState, Ticket
from coordinator.domain.lane import Lane
from coordinator.engine.reconciliation.ground import Ground
from coordinator.engine.reconciliation.invoices import CLOCK_SLACK
from coordinator.ports.lightning import OutgoingPayment, PaymentState
from coordinator.ports.money import OpenBook
from coordinator_core.units import UnixTime

PENDING = (PrizeState.PAYING, PrizeState.UNKNOWN)


@dataclass(slots=True)
class Unexplained:
    """Payments that left the node and that no payout row explains."""

    payments: tuple[OutgoingPayment, ...] = ()
    """Newest first; failed ones took no money and are not here."""
    payout_hashes: frozenset[str] = frozenset()
    """Those of them that are on the payout hash of an entry: they paid that one and no other."""
    explained: frozenset[str] = frozenset()
    """Hashes that an operator explained."""
    holding: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Hash to (competition, entry) of the prize that it held back last."""

    def holds(self, lane: Lane, payout: Payout) -> OutgoingPayment | None:
        """A payment that may have paid this prize already."""
        ticket, entry = lane.facts.get(Ticket, payout.entry_id), lane.facts.get(Entry, payout.entry_id)
        if ticket is None or entry is None:
            return None
        for payment in self.payments:
            if payment.payment_hash in self.explained or payment.payment_hash == payout.payment_hash:
                continue
            if payment.created_at < ticket.reserved_at - CLOCK_SLACK:
                return None
            if self._fits(payment, payout, entry):
                self.holding[payment.payment_hash] = (lane.id, payout.entry_id)
                return payment
        return None

    def _fits(self, payment: OutgoingPayment, payout: Payout, entry: Entry) -> bool:
        if payment.payment_hash in self.payout_hashes:
            return payment.payment_hash == entry.payout_hash
        return payment.value == payout.amount * 1_000

    def follow(self, before: Unexplained) -> None:
        """Take the place of an earlier list: what operators said while this one was made counts, and what is not listed
        any more holds nothing.
        """
        self.explained |= before.explained
        left = {payment.payment_hash for payment in self.payments} - self.explained
        self.holding = {name: prize for name, prize in before.holding.items() if name in left}

    def explain(self, payment_hash: str) -> None:
        """An operator said what a payment was for: it holds nothing any more."""
        self.explained |= {payment_hash}
        self.holding.pop(payment_hash, None)


async def compare_payments(ground: Ground, explained: Collection[str]) -> Unexplained:
    """Every payout of every competition that is not over, and every payment of the node since the oldest of them was
    made. Raises PortError.
    """
    since = await ground.services.store.oldest_open()
    if since is None:
        return Unexplained(explained=frozenset(explained))
    listed = await ground.services.lightning.listed_payments(UnixTime(since - CLOCK_SLACK))
    ground.looked_at += len(listed)
    await _history(ground)
    by_hash = {payment.payment_hash: payment for payment in reversed(listed)}
    async for book in ground.competitions(Payout):
        for payout in book.facts.all(Payout):
            await _compare(ground, book, payout, by_hash.get(payout.payment_hash))
    return await _unexplained(ground, listed, explained)


async def _history(ground: Ground) -> None:
    """A node that forgot the last payment that we know of may have forgotten others: it must not pay twice."""
    last = await ground.services.store.last_payment()
    if last is not None and not await ground.services.lightning.history_reaches(last):
        await ground.alarm(f"Lightning's list of payments does not hold our last one, {last}")


async def _compare(ground: Ground, book: OpenBook, payout: Payout, listed: OutgoingPayment | None) -> None:
    """A payout on its way is asked for by its own duty, which nothing holds back from asking; here it is hurried."""
    if payout.state in PENDING and listed is not None and listed.state is PaymentState.SUCCEEDED:
        now, duty = ground.services.clock.precise(), f"{book.lane}/{PayPrize.kind()}/{payout.payment_hash}"
        async with ground.services.store.write() as tx:
            await tx.hurry(now, lane=book.lane, duty=duty)
        ground.differences.append(f"{book.lane}: payment {payout.payment_hash} succeeded, was {payout.state.value}")
        ground.wakeups.duties.set()
    if payout.state is PrizeState.PAID and listed is not None and listed.state is PaymentState.FAILED:
        # The list is older than the book: the same invoice may have been paid in between. What is asked now decides.
        known = await ground.services.lightning.payment(payout.payment_hash)
        if known.state in (PaymentState.FAILED, PaymentState.NEVER_SENT):
            await ground.contradiction(book, f"payment {payout.payment_hash} is PAID here and failed at Lightning")


async def _unexplained(ground: Ground, listed: tuple[OutgoingPayment, ...], explained: Collection[str]) -> Unexplained:
    left = [payment for payment in listed if payment.state is not PaymentState.FAILED]
    names = {f"{kind}:{payment.payment_hash}" for payment in left for kind in ("payout", "hash")}
    taken = await ground.services.store.taken(names)
    return Unexplained(
        payments=tuple(payment for payment in left if f"payout:{payment.payment_hash}" not in taken),
        payout_hashes=frozenset(p.payment_hash for p in left if f"hash:{p.payment_hash}" in taken),
        explained=frozenset(explained),
    )
