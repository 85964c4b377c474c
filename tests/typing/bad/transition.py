"""Misuse: a transition that this state does not have."""

from coordinator.domain.competitions.states import Completed, FundingBroadcasted, FundingConfirmed
from coordinator.domain.facts import HoldsRead
from coordinator.domain.lane import Lane


def of_another_state(state: FundingConfirmed, read: HoldsRead) -> None:
    state.broadcast(read)  # reportAttributeAccessIssue


def of_an_ended_state(state: Completed) -> None:
    state.give_up("r")  # reportAttributeAccessIssue


def of_one_state_of_two(state: FundingBroadcasted | FundingConfirmed, lane: Lane) -> None:
    state.tickets_settled(())  # reportAttributeAccessIssue


def of_the_state_before(state: FundingBroadcasted) -> None:
    state.confirmed(state.confirmed.__self__.funding_height)  # reportAttributeAccessIssue
