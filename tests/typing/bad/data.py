"""Misuse: data that this state does not carry."""

from coordinator.domain.competitions.states import AwaitingEscrow, CollectingEntries, Competition, ExpiryBroadcasted


def read_too_early(state: CollectingEntries) -> tuple[str, ...]:
    return state.roster  # reportAttributeAccessIssue


def of_another_state(state: ExpiryBroadcasted) -> int:
    return state.outcome  # reportAttributeAccessIssue


def not_of_every_state(state: Competition) -> int:
    return state.attempt  # reportAttributeAccessIssue


def given_at_birth() -> AwaitingEscrow:
    return AwaitingEscrow(roster=(), attempt=1)  # reportCallIssue
