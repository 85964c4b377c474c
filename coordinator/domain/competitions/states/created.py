"""Created: terms are drafted. With scoring by lines the oracle's lines enter them before they are published."""

from __future__ import annotations

from coordinator.domain.competitions.states.collecting_entries import CollectingEntries
from coordinator.domain.competitions.states.returning import Returning
from coordinator.domain.typestate import State, Step, consumes


class Created(State, frozen=True, kw_only=True, tag="created"):
    """Nothing is sold yet."""

    @consumes
    def publish(self, terms_hash: str) -> Step[CollectingEntries]:
        """The terms are final."""
        return Step(CollectingEntries(terms_hash=terms_hash), "terms published")

    @consumes
    def give_up(self, reason: str) -> Step[Returning]:
        """An operator canceled, or the closing time came before the terms were final."""
        return Step(Returning(reason=reason, ends_in="cancelled"), reason)
