"""Who was in the contract of a competition, and how it was paid out: also of one that is over."""

from __future__ import annotations

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    Completed,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import Built, Bumped, ContractSigned, HoldState, Pinned, SessionOpen, Ticket
from coordinator.domain.lane import Lane


def roster_of(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Players of the contract of a funded competition."""
    if not isinstance(state, Completed):
        return getattr(state, "roster", ())
    pin = _pin(state, lane)
    opened = None if pin is None else lane.facts.get(SessionOpen, pin.attempt)
    return () if opened is None else opened.roster


def _pin(state: Competition, lane: Lane) -> Pinned | None:
    funding = getattr(state, "funding_txid", None)
    return next((pin for pin in lane.facts.all(Pinned) if pin.funding_txid == funding), None)


def settled_state(state: Competition, lane: Lane, roster: tuple[str, ...]) -> settling.Settled | None:
    """The state that paid out, of a completed competition read again from its facts; None when it cannot be."""
    if isinstance(state, settling.Settled):
        return state
    pin = _pin(state, lane)
    if pin is None or not isinstance(state, Completed) or not roster:
        return None
    first = _first_state(state, lane, pin, roster)
    outcome = settling.outcome_txid(lane, first)
    spender = lane.world.spent.get(f"{outcome}:0")
    if spender is None or spender.txid in made(lane, first, "close", "reclaim"):
        return first
    return DeltaBroadcasted(
        roster=roster,
        attempt=pin.attempt,
        funding_txid=pin.funding_txid,
        contract=first.contract,
        written_off=first.written_off,
        outcome=state.outcome,
        split_txid=spender.txid,
    )


def _first_state(
    state: Completed, lane: Lane, pin: Pinned, roster: tuple[str, ...]
) -> OutcomeBroadcasted | ExpiryBroadcasted:
    signed = lane.facts.get(ContractSigned, pin.attempt)
    contract = "" if signed is None else signed.blob
    written_off = _written_off(lane, roster)
    if state.outcome is None:
        return ExpiryBroadcasted(
            roster=roster,
            attempt=pin.attempt,
            funding_txid=pin.funding_txid,
            contract=contract,
            written_off=written_off,
        )
    return OutcomeBroadcasted(
        roster=roster,
        attempt=pin.attempt,
        funding_txid=pin.funding_txid,
        contract=contract,
        written_off=written_off,
        outcome=state.outcome,
    )


def _written_off(lane: Lane, roster: tuple[str, ...]) -> tuple[str, ...]:
    """Players whose hold ended without a payment after the funding."""
    return tuple(entry_id for entry_id in roster if ticket_state(lane, entry_id) is HoldState.CANCELED)


def ticket_state(lane: Lane, entry_id: str) -> HoldState | None:
    """What Lightning says of the invoice of an entry's present ticket."""
    ticket = lane.facts.get(Ticket, entry_id)
    invoice = None if ticket is None else lane.invoice_of(ticket)
    return None if invoice is None else invoice.state


def made(lane: Lane, state: settling.Settled, *roles: str) -> frozenset[str]:
    """Every txid under which we signed a transaction of these roles, at first or again."""
    keys = {f"{role}/{state.attempt}" for role in roles}
    built = (fact.txid for fact in lane.facts.all(Built) if fact.key in keys)
    again = (fact.txid for fact in lane.facts.all(Bumped) if f"{fact.role}/{fact.attempt}" in keys)
    return frozenset([*built, *again])
