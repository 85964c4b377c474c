"""Whose contract it was and how it paid out: also of a competition that is over, whose struct no longer carries it."""

from __future__ import annotations

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    Completed,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import ContractSigned, HoldState, Pinned, SessionOpen, Ticket
from coordinator.domain.lane import Lane


def attempt_of(state: Competition, lane: Lane) -> int | None:
    """The running attempt, or that of the contract of a completed competition; None outside of both."""
    if isinstance(state, Completed):
        return next((p.attempt for p in lane.facts.all(Pinned) if p.funding_txid == state.funding_txid), None)
    return getattr(state, "attempt", None)


def pinned_of(state: Competition, lane: Lane) -> Pinned | None:
    """The contract that counts: of the running attempt or of the completed competition, never of an abandoned one."""
    attempt = attempt_of(state, lane)
    return None if attempt is None else lane.facts.get(Pinned, attempt)


def roster_of(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Players of the contract; nobody before the roster is frozen, or without a contract."""
    if not isinstance(state, Completed):
        return getattr(state, "roster", ())
    opened = lane.facts.get(SessionOpen, attempt_of(state, lane) or 0)
    return () if opened is None else opened.roster


def ticket_state(lane: Lane, entry_id: str) -> HoldState | None:
    """What Lightning says of the invoice of an entry's present ticket."""
    ticket = lane.facts.get(Ticket, entry_id)
    invoice = None if ticket is None else lane.invoice_of(ticket)
    return None if invoice is None else invoice.state


def settled_state(state: Competition, lane: Lane) -> settling.Settled | None:
    """The state that paid out: of a completed competition it is read again from its facts, so that one rule says what
    became of a prize. None before the outcome, and when the facts do not tell.
    """
    if isinstance(state, settling.Settled):
        return state
    pin, roster = pinned_of(state, lane), roster_of(state, lane)
    if pin is None or not isinstance(state, Completed) or not roster:
        return None
    first = _first_state(state, lane, pin, roster)
    spender = lane.world.spent.get(f"{settling.outcome_txid(lane, first)}:0")
    if spender is None or spender.txid in settling.ours(lane, first, "close", "reclaim"):
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
    # Only a write-off leaves a ticket of the contract canceled.
    written_off = tuple(e for e in roster if ticket_state(lane, e) is HoldState.CANCELED)
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
