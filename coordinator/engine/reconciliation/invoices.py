"""Ticket invoices as Lightning has them, against what the facts say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from coordinator.domain.facts import FactBook, HoldState, Invoice, Published, Ticket
from coordinator.engine.executors.lightning import invoice_fact
from coordinator.engine.reconciliation.ground import Ground
from coordinator.ports.lightning import HoldInvoice, InvoiceState, ListedInvoice
from coordinator.ports.money import OpenBook
from coordinator_core.units import UnixTime

FINAL = (HoldState.SETTLED, HoldState.CANCELED)
CLOCK_SLACK = 300
"""Seconds that the node's clock may be behind ours."""


async def compare_invoices(ground: Ground) -> tuple[ListedInvoice, ...]:
    """Every ticket of every competition that is not over. Returns held and settled invoices over terms of ours whose
    hash no ticket has. Raises PortError.
    """
    store, terms = ground.services.store, set[str]()
    since = await store.oldest_open()
    if since is None:
        return ()
    listed = await ground.services.lightning.listed_invoices(UnixTime(since - CLOCK_SLACK))
    ground.looked_at += len(listed)
    by_hash = {line.payment_hash: line for line in listed}
    async for book in ground.competitions(Published, Ticket, Invoice):
        terms.update(published.terms_hash for published in book.facts.all(Published))
        await _compare(ground, book, by_hash)
    return await _strangers(ground, listed, terms)


async def _compare(ground: Ground, book: OpenBook, listed: Mapping[str, ListedInvoice]) -> None:
    for payment_hash, invoice in _tickets(book.facts):
        line = listed.get(payment_hash)
        if line is not None and invoice is not None and line.state.value == invoice.state.value:
            continue
        # The list is older than this question: what is asked now decides.
        found = await ground.services.lightning.invoice(payment_hash)
        ground.beat()
        ground.looked_at += 1
        if (what := contradicts(invoice, found)) is not None:
            await ground.contradiction(book, what)
        elif found is not None and (invoice is None or found.state.value != invoice.state.value):
            await _learn(ground, book, payment_hash, invoice, found)


def _tickets(facts: FactBook) -> Iterator[tuple[str, Invoice | None]]:
    """Every hash that a ticket of a competition has or had, with its invoice as the facts know it."""
    known = {invoice.payment_hash: invoice for invoice in facts.all(Invoice)}
    present = (ticket.ticket_hash for ticket in facts.all(Ticket))
    for payment_hash in sorted({*known, *present}):
        yield payment_hash, known.get(payment_hash)


def contradicts(before: Invoice | None, found: HoldInvoice | None) -> str | None:
    """Why what Lightning says cannot have become of what the facts say; None when it can."""
    if before is None:
        return None
    if found is None:
        lost = before.state in (HoldState.ACCEPTED, HoldState.SETTLED)
        return f"Lightning does not know the {before.state.value} invoice {before.payment_hash}" if lost else None
    if before.state in FINAL and found.state.value != before.state.value:
        return f"invoice {before.payment_hash} is {before.state.value} here and {found.state.value} at Lightning"
    if before.state is HoldState.ACCEPTED and found.state is InvoiceState.OPEN:
        return f"invoice {before.payment_hash} was paid, and is OPEN again at Lightning"
    return None


async def _learn(ground: Ground, book: OpenBook, payment_hash: str, before: Invoice | None, found: HoldInvoice) -> None:
    # The book is as old as the questions since: who saw the payment meanwhile knows when it came, which orders seats.
    for stored in await ground.services.store.facts_of(Invoice, payment_hash, UnixTime(0)):
        before = stored
    if before is not None and before.state.value == found.state.value:
        return
    entry_id, generation = _owner(book, payment_hash) if before is None else (before.entry_id, before.generation)
    fact = invoice_fact(found, entry_id, generation, before, ground.services.clock.wall())
    was = "unknown" if before is None else before.state.value
    await ground.difference(book.lane, [fact], f"invoice {payment_hash} is {found.state.value}, was {was}")


def _owner(book: OpenBook, payment_hash: str) -> tuple[str, int]:
    owner = next(ticket for ticket in book.facts.all(Ticket) if ticket.ticket_hash == payment_hash)
    return owner.entry_id, owner.generation


async def _strangers(ground: Ground, listed: tuple[ListedInvoice, ...], terms: set[str]) -> tuple[ListedInvoice, ...]:
    """Money that came in under our terms and that no ticket explains: the database has lost something."""
    ours = [
        line
        for line in listed
        if line.description_hash in terms and line.state in (InvoiceState.ACCEPTED, InvoiceState.SETTLED)
    ]
    taken = await ground.services.store.taken([f"hash:{line.payment_hash}" for line in ours])
    return tuple(line for line in ours if f"hash:{line.payment_hash}" not in taken)
