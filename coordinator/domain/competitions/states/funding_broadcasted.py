"""FundingBroadcasted: the funding transaction is on its way."""

from __future__ import annotations

from coordinator.domain.competitions.states.funding_confirmed import FundingConfirmed
from coordinator.domain.competitions.states.returning import Returning
from coordinator.domain.typestate import State, Step, consumes
from coordinator_core.units import Height


class FundingBroadcasted(State, frozen=True, kw_only=True, tag="funding_broadcasted"):
    """Once the funding left, only a confirmed conflict can stop the contract."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str
    funding_txid: str
    contract: str

    @consumes
    def confirmed(self, height: Height) -> Step[FundingConfirmed]:
        """The funding has required_confirmations; tickets may be settled."""
        step = FundingConfirmed(
            roster=self.roster,
            attempt=self.attempt,
            event_id=self.event_id,
            funding_txid=self.funding_txid,
            funding_height=height,
            contract=self.contract,
        )
        return Step(step, f"funding confirmed in block {height}")

    @consumes
    def recalled(self, reason: str) -> Step[Returning]:
        """The funding was never handed to anyone and must not leave any more."""
        return Step(Returning(reason=reason, ends_in="failed"), reason)

    @consumes
    def conflicted(self, by_txid: str) -> Step[Returning]:
        """Another transaction that spends an input of the funding has required_confirmations."""
        reason = f"the funding can never confirm: {by_txid} spent one of its inputs"
        return Step(Returning(reason=reason, ends_in="failed"), reason)
