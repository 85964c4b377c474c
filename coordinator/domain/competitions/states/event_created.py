"""EventCreated(i): event i of the terms is made at the oracle and verified against number of players and dates."""

from __future__ import annotations

from coordinator.domain.competitions.states.awaiting_keygen import AwaitingKeygen
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.facts import OracleEvent
from coordinator.domain.typestate import State, Step, consumes


class EventCreated(State, frozen=True, kw_only=True, tag="event_created"):
    """An attempt of the closing, 1 to 8, with the players who are in it."""

    roster: tuple[str, ...]
    attempt: int

    @consumes
    def event_verified(self, event: OracleEvent) -> Step[AwaitingKeygen]:
        """The oracle's event equals ours."""
        step = AwaitingKeygen(roster=self.roster, attempt=self.attempt, event_id=event.event_id)
        return Step(step, f"attempt {self.attempt}: the oracle announced event {event.event_id}")

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """No time left."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
