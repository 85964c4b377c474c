"""Misuse: a next state that the transition does not lead to."""

from coordinator.domain.competitions.states import Created, FundingConfirmed, FundingReady, Returning
from coordinator.domain.facts import HoldsRead
from coordinator.domain.typestate import Step


def a_step_too_far(state: Created) -> Step[FundingConfirmed]:
    return state.publish("h")  # reportReturnType


def a_state_for_a_step(state: Created) -> Returning:
    return state.give_up("r")  # reportReturnType


def one_link_left_out(state: FundingReady, read: HoldsRead) -> FundingConfirmed:
    return state.broadcast(read).state  # reportReturnType
