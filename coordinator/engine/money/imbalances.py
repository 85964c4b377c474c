"""What does not add up in the books of one competition, in words. Nothing of this can happen by the rules."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.domain.competitions import debts, settling
from coordinator.domain.competitions.paid_out import roster_of, settled_state, ticket_state
from coordinator.domain.competitions.states import Cancelled, Competition, Failed, FundingConfirmed
from coordinator.domain.facts import HoldState, Invoice, Owed, Payout, PrizeState, Ticket
from coordinator.domain.lane import Lane


def without_contract(state: Competition, lane: Lane) -> Iterator[str]:
    """Ended without a contract: every settled ticket is a debt that is written down, and no prize was paid."""
    if not isinstance(state, Cancelled | Failed):
        return
    for invoice in debts.unrecorded(lane):
        yield f"ticket {invoice.payment_hash} of {invoice.value} sat was settled, and is neither in a contract nor owed"
    if any(payout.state is PrizeState.PAID for payout in lane.facts.all(Payout)):
        yield "a prize was paid although there was no contract"


def with_contract(state: Competition, lane: Lane) -> Iterator[str]:
    """The funding is confirmed: tickets and prizes are those of the contract."""
    roster = roster_of(state, lane)
    yield from _tickets(state, lane, roster)
    yield from _prizes(state, lane, roster)


def _tickets(state: Competition, lane: Lane, roster: tuple[str, ...]) -> Iterator[str]:
    """Once tickets are settled, those of the contract are settled or written off, at their price, and no others are."""
    current = {t.ticket_hash: t for t in lane.facts.all(Ticket) if t.entry_id in roster}
    owed = {debt.payment_hash for debt in lane.facts.all(Owed)}
    for invoice in lane.facts.all(Invoice):
        if invoice.state is not HoldState.SETTLED:
            continue
        ticket = current.get(invoice.payment_hash)
        if ticket is None and invoice.payment_hash not in owed:
            yield f"ticket {invoice.payment_hash} was settled outside of the contract and is not owed"
        elif ticket is not None and ticket.price != invoice.value:
            yield f"ticket {invoice.payment_hash} was settled for {invoice.value} sat, its price is {ticket.price}"
    if isinstance(state, FundingConfirmed):
        return
    for entry_id in roster:
        if ticket_state(lane, entry_id) not in (HoldState.SETTLED, HoldState.CANCELED):
            yield f"entry {entry_id} is in the contract, and its ticket is neither settled nor written off"


def _prizes(state: Competition, lane: Lane, roster: tuple[str, ...]) -> Iterator[str]:
    """What was paid is what was won."""
    paid = [payout for payout in lane.facts.all(Payout) if payout.state is PrizeState.PAID]
    if not paid:
        return
    settled = settled_state(state, lane)
    if settled is None:
        yield "a prize was paid before the outcome"
        return
    won = {s.entry_id: s.net for s in settling.shares(lane, roster, settling.outcome_of(settled))}
    for payout in paid:
        if payout.entry_id not in won:
            yield f"entry {payout.entry_id} was paid {payout.amount} sat and won nothing"
        elif payout.amount != won[payout.entry_id]:
            yield f"entry {payout.entry_id} was paid {payout.amount} sat and won {won[payout.entry_id]}"
    if (most := len(roster) * lane.terms.money.entry_fee) < (total := sum(p.amount for p in paid)):
        yield f"{total} sat were paid out of a pool of {most}"
