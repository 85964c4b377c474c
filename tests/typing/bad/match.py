"""Misuse: a match that forgets a state."""

from typing import assert_never

from coordinator.domain.competitions.states import (
    CollectingEntries,
    Competition,
    Created,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    Opening,
    Returning,
    Settling,
)


def forgotten(state: Opening) -> str:
    match state:
        case Created() | CollectingEntries():
            return "open"
        case _:
            assert_never(state)  # reportArgumentType


def no_case_for_the_outcome(state: Settling) -> str:  # reportReturnType
    match state:
        case ExpiryBroadcasted():
            return "expiry"
        case DeltaBroadcasted():
            return "split"


def a_union_of_all(state: Competition) -> None:
    if isinstance(state, Returning):
        return
    assert_never(state)  # reportArgumentType
