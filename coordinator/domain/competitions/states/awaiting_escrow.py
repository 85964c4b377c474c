"""AwaitingEscrow: in hold mode it takes no time, the accepted holds are the escrow."""

from __future__ import annotations

from coordinator.domain.competitions.states.escrow_confirmed import EscrowConfirmed
from coordinator.domain.competitions.states.returning import Returning
from coordinator.domain.typestate import State, Step, consumes


class AwaitingEscrow(State, frozen=True, kw_only=True, tag="awaiting_escrow"):
    """The roster is frozen; every hold is read again."""

    roster: tuple[str, ...]

    @consumes
    def holds_stand(self, roster: tuple[str, ...]) -> Step[EscrowConfirmed]:
        """Every hold of the roster was re-read ACCEPTED with enough blocks left; lost ones are gone from it."""
        return Step(EscrowConfirmed(roster=roster), f"{len(roster)} tickets are held")

    @consumes
    def give_up(self, reason: str) -> Step[Returning]:
        """Too few holds are left, or no time."""
        return Step(Returning(reason=reason, ends_in="cancelled"), reason)
