"""EntriesSubmitted(i): the oracle has the entries, its statement equals roster and terms; the contract is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.domain.competitions.states.awaiting_signing import AwaitingSigning
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.facts import Pinned
from coordinator.domain.typestate import State, Step, consumes

if TYPE_CHECKING:
    from coordinator.domain.competitions.states.event_created import EventCreated


class EntriesSubmitted(State, frozen=True, kw_only=True, tag="entries_submitted"):
    """Keys are known; the kick-off check waits within the closing if it must."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str

    @consumes
    def pinned(self, pin: Pinned) -> Step[AwaitingSigning]:
        """Kick-off check passed; parameters and coins are fixed for this attempt."""
        step = AwaitingSigning(
            roster=self.roster, attempt=self.attempt, event_id=self.event_id, funding_txid=pin.funding_txid
        )
        return Step(step, f"attempt {self.attempt}: contract parameters pinned, funding will be {pin.funding_txid}")

    @consumes
    def next_attempt(self, roster: tuple[str, ...], reason: str) -> Step[EventCreated]:
        """keymeld failed: a fresh attempt."""
        from coordinator.domain.competitions.states.event_created import EventCreated

        return Step(EventCreated(roster=roster, attempt=self.attempt + 1), reason)

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """The kick-off check or the oracle did not allow it in time."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
