"""FundingConfirmed: ticket preimages may leave the secret store; every invoice is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.domain.competitions.states.awaiting_attestation import AwaitingAttestation
from coordinator.domain.typestate import State, Step, consumes
from coordinator_core.units import Height

if TYPE_CHECKING:
    from coordinator.domain.competitions.states.funding_broadcasted import FundingBroadcasted


class FundingConfirmed(State, frozen=True, kw_only=True, tag="funding_confirmed"):
    """The contract is on chain."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str
    funding_txid: str
    funding_height: Height
    contract: str

    @consumes
    def tickets_settled(self, written_off: tuple[str, ...]) -> Step[AwaitingAttestation]:
        """Each invoice is SETTLED or written off (a hold that Lightning itself canceled after the broadcast)."""
        step = AwaitingAttestation(
            roster=self.roster,
            attempt=self.attempt,
            event_id=self.event_id,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=written_off,
        )
        return Step(
            step,
            "all tickets are settled" if not written_off else f"{len(written_off)} tickets are written off",
        )

    @consumes
    def unconfirmed(self) -> Step[FundingBroadcasted]:
        """A reorg took the funding out of the chain: it is re-announced and awaited again."""
        from coordinator.domain.competitions.states.funding_broadcasted import FundingBroadcasted

        step = FundingBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            event_id=self.event_id,
            funding_txid=self.funding_txid,
            contract=self.contract,
        )
        return Step(step, "a reorg unconfirmed the funding")
