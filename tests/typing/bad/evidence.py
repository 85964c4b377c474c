"""Misuse: a transition with the wrong evidence, or without."""

from coordinator.domain.competitions.states import AwaitingKeygen, FundingBroadcasted, FundingReady, Returning
from coordinator.domain.facts import Keygen
from coordinator_core.units import Confirmations


def another_fact(state: FundingReady, keygen: Keygen) -> None:
    state.broadcast(keygen)  # reportArgumentType


def a_number_that_counts_something_else(state: FundingBroadcasted, depth: Confirmations) -> None:
    state.confirmed(depth)  # reportArgumentType


def a_word_that_is_no_end() -> Returning:
    return Returning(reason="r", ends_in="completed")  # reportArgumentType


def none_at_all(state: AwaitingKeygen) -> None:
    state.keys_verified()  # reportCallIssue
