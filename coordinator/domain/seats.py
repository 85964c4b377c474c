"""Seats: taken when the invoice is ACCEPTED; earlier acceptances come first, surplus ones are canceled at once."""

from __future__ import annotations

from coordinator.domain.facts import Entry, HoldState, Invoice, Ticket
from coordinator.domain.lane import Lane
from coordinator_core.units import Blocks


def seated(lane: Lane) -> tuple[str, ...]:
    """Entry ids that hold a seat, in ascending order (the order of the contract and of the oracle)."""
    return tuple(sorted(entry_id for _, entry_id in _accepted(lane)[: lane.terms.entries.maximum]))


def surplus(lane: Lane) -> tuple[Invoice, ...]:
    """Accepted invoices beyond the last seat, or of an earlier generation of their ticket."""
    kept = set(seated(lane))
    return tuple(
        invoice
        for invoice in lane.facts.all(Invoice)
        if invoice.state is HoldState.ACCEPTED and not _is_current(lane, invoice, kept)
    )


def _is_current(lane: Lane, invoice: Invoice, kept: set[str]) -> bool:
    ticket = lane.facts.get(Ticket, invoice.entry_id)
    return ticket is not None and ticket.ticket_hash == invoice.payment_hash and invoice.entry_id in kept


def _accepted(lane: Lane) -> list[tuple[int, str]]:
    taken: list[tuple[int, str]] = []
    for ticket in lane.facts.all(Ticket):
        invoice = lane.invoice_of(ticket)
        entry = lane.facts.get(Entry, ticket.entry_id)
        if invoice is None or entry is None or entry.ticket_hash != ticket.ticket_hash:
            continue
        if invoice.state is HoldState.ACCEPTED and invoice.accepted_at is not None:
            taken.append((invoice.accepted_at, ticket.entry_id))
    return sorted(taken)


def blocks_left(lane: Lane, invoice: Invoice) -> Blocks:
    """Blocks until Lightning cancels the hold by itself; 0 or less means it cannot be relied on."""
    if invoice.state is not HoldState.ACCEPTED or invoice.expiry_height is None:
        return Blocks(0)
    return Blocks(invoice.expiry_height - lane.world.tip - lane.world.cancel_delta)


def short_holds(lane: Lane, roster: tuple[str, ...]) -> frozenset[str]:
    """Players of a roster whose hold, as last seen, is gone or too short for the funding to leave now."""
    short: set[str] = set()
    for entry_id in roster:
        ticket = lane.facts.get(Ticket, entry_id)
        invoice = None if ticket is None else lane.invoice_of(ticket)
        if invoice is None or blocks_left(lane, invoice) < blocks_needed(lane):
            short.add(entry_id)
    return frozenset(short)


def blocks_needed(lane: Lane) -> Blocks:
    """What every hold must have left when the funding leaves: 6 + required_confirmations + 24."""
    return Blocks(6 + lane.terms.contract.required_confirmations + 24)
