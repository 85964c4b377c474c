"""EscrowConfirmed: the tickets stand; the oracle's planning check is awaited before the first attempt."""

from __future__ import annotations

from coordinator.domain.competitions.states.event_created import EventCreated
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.typestate import State, Step, consumes


class EscrowConfirmed(State, frozen=True, kw_only=True, tag="escrow_confirmed"):
    """Who plays is known, in ascending entry-id order: the order of the contract and of the oracle."""

    roster: tuple[str, ...]

    @consumes
    def first_attempt(self) -> Step[EventCreated]:
        """The planning check passed and there is time: attempt 1 starts."""
        return Step(EventCreated(roster=self.roster, attempt=1), "the closing starts")

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """No time left."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
