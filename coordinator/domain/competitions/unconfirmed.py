"""Funding broadcast but not yet confirmed enough while holds run short (money section 3).

At left 6 or F + 18, for all tickets at once: settle if our node holds the funding in mempool or chain (the one
exception to "settle after confirmation"); otherwise cancel all, stop announcing it, and spend one of its inputs back to
ourselves, unless a ticket is settled already: then the contract is all that secures it. Six blocks earlier, at left 12
or F + 12, the funding is bumped to the rate of the next block (see bumping).
"""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.domain import duties as d
from coordinator.domain.competitions.states import FundingBroadcasted
from coordinator.domain.facts import HoldsDecided, HoldState, Invoice, Ticket
from coordinator.domain.lane import Lane
from coordinator.domain.protection import has_left
from coordinator.domain.seats import blocks_left, short_holds
from coordinator_core.competition.holds import HoldStep, blocks_before_decision, step_after_broadcast
from coordinator_core.competition.schedule import may_broadcast_funding
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


def awaits_funding(state: FundingBroadcasted, lane: Lane) -> bool:
    """False once the funding is to be prevented: it was given up, and no ticket is settled over it."""
    decided = lane.facts.get(HoldsDecided, state.attempt)
    return decided is None or decided.settle or bool(_of_roster(lane, state.roster, HoldState.SETTLED))


def duties(state: FundingBroadcasted, lane: Lane) -> Iterator[d.Duty]:
    """Announce the funding; when the holds run short decide once, then settle or cancel all of them."""
    decided = lane.facts.get(HoldsDecided, state.attempt)
    if decided is not None:
        yield from _tickets(decided, _held(lane, state.roster))
    elif hold_step(state, lane) is HoldStep.DECIDE:
        yield d.DecideHolds(attempt=state.attempt, funding_txid=state.funding_txid)
    if not awaits_funding(state, lane):
        yield d.Broadcast(role=f"take-back/{state.attempt}", attempt=state.attempt, contract=state.contract)
    elif decided is not None or _may_announce(state, lane):
        yield d.Broadcast(role="funding", attempt=state.attempt, contract=state.contract)


def _tickets(decided: HoldsDecided, held: list[Invoice]) -> Iterator[d.Duty]:
    for invoice in held:
        if decided.settle:
            yield d.SettleInvoice(entry_id=invoice.entry_id, payment_hash=invoice.payment_hash)
        else:
            yield d.CancelInvoice(payment_hash=invoice.payment_hash)


def _may_announce(state: FundingBroadcasted, lane: Lane) -> bool:
    """The rules for letting the funding go hold until it is known to have left, also for one that was built: the node
    may have been away since.
    """
    if has_left(lane):
        return True
    return may_broadcast_funding(lane.terms, lane.world.tip, lane.world.now) and not short_holds(lane, state.roster)


def _held(lane: Lane, roster: tuple[str, ...]) -> list[Invoice]:
    return _of_roster(lane, roster, HoldState.ACCEPTED)


def _of_roster(lane: Lane, roster: tuple[str, ...], state: HoldState) -> list[Invoice]:
    tickets = [lane.facts.get(Ticket, entry_id) for entry_id in roster]
    invoices = [lane.invoice_of(ticket) for ticket in tickets if ticket is not None]
    return [invoice for invoice in invoices if invoice is not None and invoice.state is state]
