"""AwaitingKeygen(i): every player seals entry key i and opens its picks; keymeld aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.domain.competitions.states.entries_submitted import EntriesSubmitted
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.facts import Keygen
from coordinator.domain.typestate import State, Step, consumes
from coordinator_core.errors import Misuse

if TYPE_CHECKING:
    from coordinator.domain.competitions.states.event_created import EventCreated


class AwaitingKeygen(State, frozen=True, kw_only=True, tag="awaiting_keygen"):
    """The keymeld session of an attempt, with one slot for each player and one for the market maker."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str

    @consumes
    def keys_verified(self, keygen: Keygen) -> Step[EntriesSubmitted]:
        """Everyone sealed; the roster and all aggregates were recomputed and equal."""
        if keygen.attempt != self.attempt:
            raise Misuse("keygen result of another attempt")
        step = EntriesSubmitted(roster=self.roster, attempt=self.attempt, event_id=self.event_id)
        return Step(step, f"attempt {self.attempt}: all {len(self.roster)} players sealed their keys")

    @consumes
    def next_attempt(self, roster: tuple[str, ...], reason: str) -> Step[EventCreated]:
        """Some were absent, or keymeld failed: the rest goes on with fresh keys and a fresh event."""
        from coordinator.domain.competitions.states.event_created import EventCreated

        return Step(EventCreated(roster=roster, attempt=self.attempt + 1), reason)

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """No attempt, no time, or too few players left."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
