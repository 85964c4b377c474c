"""What a caller may do: nothing here is an error."""

from typing import assert_never

from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.states import (
    Cancelled,
    CollectingEntries,
    Competition,
    Completed,
    Created,
    DeltaBroadcasted,
    Ended,
    Failed,
    FundingConfirmed,
    FundingReady,
    Opening,
    OutcomeBroadcasted,
    Returning,
)
from coordinator.domain.facts import HoldsRead
from coordinator.domain.lane import Lane
from coordinator.domain.typestate import Step
from coordinator_core.units import Height


def chained(state: FundingReady, read: HoldsRead, height: Height) -> Step[FundingConfirmed]:
    return state.broadcast(read).state.confirmed(height)


def widened(state: Created) -> Step[Competition] | None:
    return state.publish("h") if state.version else None


def narrowed(state: Competition) -> str:
    if isinstance(state, OutcomeBroadcasted | DeltaBroadcasted):
        return state.contract
    return state.reason if isinstance(state, Returning) else ""


def matched(state: Opening | Ended) -> str:
    match state:
        case Created() | CollectingEntries():
            return "open"
        case Completed() | Cancelled() | Failed():
            return "over"
        case _:
            return ",".join(state.roster)


def exhausted(state: Created | CollectingEntries) -> Step[Returning]:
    match state:
        case Created():
            return state.give_up("r")
        case CollectingEntries():
            return state.give_up("r")
        case _:
            assert_never(state)


def driven(state: Competition, lane: Lane) -> Competition:
    step = advance(state, lane)
    return state if step is None else driven(step.state, lane)
