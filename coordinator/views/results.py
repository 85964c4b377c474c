"""The outcome in words, and every prize with what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    Completed,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import ContractSigned, HoldState, Pinned, PrizeState, Ticket
from coordinator.domain.lane import Lane
from coordinator.views.prices import ordinal
from coordinator.views.rosters import pinned_of, roster_of
from coordinator.views.words import PRIZES, sats


@dataclass(frozen=True, slots=True)
class Won:
    """One prize."""

    entry_id: str
    place: str
    net: str
    state: str
    settled: bool
    """True when nobody owes anything for it any more."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome in words, with its prizes by place."""

    outcome: str
    prizes: tuple[Won, ...]


def result(state: Competition, lane: Lane) -> Result | None:
    """The result of a competition that pays out or is done; None before."""
    paying = paying_out(state, lane)
    if paying is None:
        return None
    listed = sorted(settling.prizes(lane, paying), key=lambda prize: (prize.share.place or 0, prize.share.entry_id))
    return Result(_words(settling.outcome_of(paying), listed), tuple(map(_won, listed)))


def paying_out(state: Competition, lane: Lane) -> settling.Settled | None:
    """The state whose prizes count: a completed competition's is the one it came from. None before the outcome."""
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return state
    pin = pinned_of(state, lane)
    if not isinstance(state, Completed) or pin is None:
        return None
    return _before_the_end(state, lane, pin)


def _before_the_end(state: Completed, lane: Lane, pin: Pinned) -> DeltaBroadcasted:
    """The state a completed competition came from, so that one rule says what became of a prize."""
    signed = lane.facts.get(ContractSigned, pin.attempt)
    first = lane.world.spent.get(f"{pin.funding_txid}:{pin.funding_vout}")
    split = None if first is None else lane.world.spent.get(f"{first.txid}:0")
    return DeltaBroadcasted(
        roster=roster_of(state, lane),
        attempt=pin.attempt,
        funding_txid=pin.funding_txid,
        contract=signed.blob if signed is not None else "",
        written_off=_written_off(state, lane),
        outcome=state.outcome,
        split_txid=split.txid if split is not None else "",
    )


def _written_off(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Players of the contract whose ticket was canceled: only a write-off leaves one."""
    tickets = [lane.facts.get(Ticket, entry_id) for entry_id in roster_of(state, lane)]
    invoices = [(ticket.entry_id, lane.invoice_of(ticket)) for ticket in tickets if ticket is not None]
    return tuple(e for e, invoice in invoices if invoice is not None and invoice.state is HoldState.CANCELED)


def _words(outcome: int | None, prizes: list[settling.Prize]) -> str:
    if outcome is None:
        return "The oracle did not attest in time: the contract expired and every stake goes back."
    if all(prize.share.place is None for prize in prizes):
        return f"The oracle attested outcome {outcome}: no ranking, every stake goes back."
    return f"The oracle attested outcome {outcome}."


def _won(prize: settling.Prize) -> Won:
    place = "stake" if prize.share.place is None else ordinal(prize.share.place)
    words = PRIZES[prize.state]
    if prize.payout is not None and prize.state is PrizeState.PAID and prize.payout.atomic:
        words += ", against the payout preimage"
    elif prize.payout is not None and prize.payout.failure and prize.state is PrizeState.CLAIMABLE:
        words += f"; the last payment failed: {prize.payout.failure}"
    settled = prize.state in settling.FINAL and prize.state is not PrizeState.OWED
    return Won(prize.share.entry_id, place, sats(prize.share.net), words, settled)
