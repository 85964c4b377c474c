"""FundingReady: the signed contract exists; the holds are re-read before the funding leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.domain.competitions.states.funding_broadcasted import FundingBroadcasted
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.facts import HoldsRead
from coordinator.domain.typestate import State, Step, consumes
from coordinator_core.errors import Misuse

if TYPE_CHECKING:
    from coordinator.domain.competitions.states.event_created import EventCreated


class FundingReady(State, frozen=True, kw_only=True, tag="funding_ready"):
    """A contract whose every signature was verified."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str
    funding_txid: str
    contract: str
    """Blob name of the signed contract."""

    @consumes
    def broadcast(self, holds: HoldsRead) -> Step[FundingBroadcasted]:
        """Every hold was just re-read ACCEPTED with enough left and it is not past F: the funding may leave."""
        if holds.lost or holds.attempt != self.attempt:
            raise Misuse("the holds were not re-read for this attempt")
        step = FundingBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            event_id=self.event_id,
            funding_txid=self.funding_txid,
            contract=self.contract,
        )
        return Step(step, f"all holds stand with at least {holds.least_left} blocks left: funding {self.funding_txid}")

    @consumes
    def next_attempt(self, roster: tuple[str, ...], reason: str) -> Step[EventCreated]:
        """A hold was lost before the broadcast: a drop, the rest goes on."""
        from coordinator.domain.competitions.states.event_created import EventCreated

        return Step(EventCreated(roster=roster, attempt=self.attempt + 1), reason)

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """Past F, or too few players left."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
