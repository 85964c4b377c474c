"""CollectingEntries: tickets are sold until the closing time."""

from __future__ import annotations

from coordinator.domain.competitions.states.awaiting_escrow import AwaitingEscrow
from coordinator.domain.competitions.states.returning import Returning
from coordinator.domain.typestate import State, Step, consumes


class CollectingEntries(State, frozen=True, kw_only=True, tag="collecting_entries"):
    """Open for entries under terms that never change."""

    terms_hash: str

    @consumes
    def close(self, roster: tuple[str, ...]) -> Step[AwaitingEscrow]:
        """The closing time came and enough seats are taken: the roster is frozen in entry-id order."""
        return Step(AwaitingEscrow(roster=roster), f"entries closed with {len(roster)} players")

    @consumes
    def give_up(self, reason: str) -> Step[Returning]:
        """Too few players at the closing time, or an operator canceled."""
        return Step(Returning(reason=reason, ends_in="cancelled"), reason)
