"""Funding broadcast but not yet confirmed enough while holds run short (money section 3).

At left 6 or F + 18, for all tickets at once: settle if our node holds the funding in mempool or chain (the one
exception to "settle after confirmation"); otherwise cancel all, stop announcing it, and spend one of its inputs back to
ourselves. Six blocks earlier, at left 12 or F + 12, the funding is bumped to the rate of the next block (see bumping).
"""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.domain import duties as d
from coordinator.domain.competitions.states import FundingBroadcasted
from coordinator.domain.facts import HoldsDecided, HoldState, Invoice, Ticket
from coordinator.domain.lane import Lane
from coordinator.domain.seats import blocks_left
from coordinator_core.competition.holds import HoldStep, blocks_before_decision, step_after_broadcast
from coordinator_core.units import Blocks

NO_HOLD_OPEN = Blocks(1_000_000)


def least_left(lane: Lane, roster: tuple[str, ...]) -> Blocks:
    """Blocks left on the shortest hold of the roster that is still accepted."""
    left = [blocks_left(lane, invoice) for invoice in _held(lane, roster)]
    return min(left, default=NO_HOLD_OPEN)


def hold_step(state: FundingBroadcasted, lane: Lane) -> HoldStep:
    """What the holds ask for now."""
    return step_after_broadcast(lane.terms, lane.world.tip, least_left(lane, state.roster))


def blocks_to_decision(state: FundingBroadcasted, lane: Lane) -> Blocks:
    """Blocks until the holds are decided; 0 or less once they are, whatever the holds left look like then."""
    if lane.facts.get(HoldsDecided, state.attempt) is not None:
        return Blocks(0)
    return blocks_before_decision(lane.terms, lane.world.tip, least_left(lane, state.roster))


def duties(state: FundingBroadcasted, lane: Lane) -> Iterator[d.Duty]:
    """Announce the funding; when the holds run short decide once, then settle or cancel all of them."""
    decided = lane.facts.get(HoldsDecided, state.attempt)
    if decided is None:
        yield d.Broadcast(role="funding", attempt=state.attempt, contract=state.contract)
        if hold_step(state, lane) is HoldStep.DECIDE:
            yield d.DecideHolds(attempt=state.attempt, funding_txid=state.funding_txid)
    elif decided.settle:
        yield d.Broadcast(role="funding", attempt=state.attempt, contract=state.contract)
        for invoice in _held(lane, state.roster):
            yield d.SettleInvoice(entry_id=invoice.entry_id, payment_hash=invoice.payment_hash)
    else:
        for invoice in _held(lane, state.roster):
            yield d.CancelInvoice(payment_hash=invoice.payment_hash)
        yield d.Broadcast(role=f"take-back/{state.attempt}", attempt=state.attempt, contract=state.contract)


def _held(lane: Lane, roster: tuple[str, ...]) -> list[Invoice]:
    tickets = [lane.facts.get(Ticket, entry_id) for entry_id in roster]
    invoices = [lane.invoice_of(ticket) for ticket in tickets if ticket is not None]
    return [invoice for invoice in invoices if invoice is not None and invoice.state is HoldState.ACCEPTED]
