"""The outcome in words, and every prize with what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.paid_out import settled_state
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import PrizeState
from coordinator.domain.lane import Lane
from coordinator.views.prices import ordinal
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
    paying = settled_state(state, lane)
    if paying is None:
        return None
    listed = sorted(settling.prizes(lane, paying), key=lambda prize: (prize.share.place or 0, prize.share.entry_id))
    return Result(_words(settling.outcome_of(paying), listed), tuple(map(_won, listed)))


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
