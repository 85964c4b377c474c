"""OutcomeBroadcasted and ExpiryBroadcasted: one code for both, expiry is an outcome like any other."""

from __future__ import annotations

from coordinator.domain.competitions.states.delta_broadcasted import DeltaBroadcasted
from coordinator.domain.competitions.states.ended import Completed
from coordinator.domain.competitions.states.returning import Returning, without_contract
from coordinator.domain.typestate import State, Step, consumes


class _PayingOut(State, frozen=True, kw_only=True):
    roster: tuple[str, ...]
    attempt: int
    funding_txid: str
    contract: str
    written_off: tuple[str, ...] = ()

    @consumes
    def conflicted(self, by_txid: str) -> Step[Returning]:
        """A reorg took the funding out and another spend of an input has required_confirmations: tickets are OWED."""
        return without_contract(by_txid)

    def _split(self, outcome: int | None, split_txid: str) -> DeltaBroadcasted:
        return DeltaBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=self.written_off,
            outcome=outcome,
            split_txid=split_txid,
        )


class OutcomeBroadcasted(_PayingOut, frozen=True, kw_only=True, tag="outcome_broadcasted"):
    """The outcome transaction is on its way; winners are paid."""

    outcome: int

    @consumes
    def split(self, split_txid: str) -> Step[DeltaBroadcasted]:
        """Delta has passed with a winner unpaid, or an output still to be bought: the split was sent."""
        return Step(self._split(self.outcome, split_txid), f"split {split_txid} sent")

    @consumes
    def closed(self) -> Step[Completed]:
        """The cooperative close, or the reclaim, is confirmed and every prize is settled."""
        return Step(Completed(funding_txid=self.funding_txid, outcome=self.outcome), "the outcome output was closed")

    @consumes
    def expiry_confirmed(self) -> Step[ExpiryBroadcasted]:
        """The expiry transaction confirmed instead: the ledger follows what is in the chain."""
        step = ExpiryBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=self.written_off,
        )
        return Step(step, "the expiry transaction confirmed instead of the outcome")


class ExpiryBroadcasted(_PayingOut, frozen=True, kw_only=True, tag="expiry_broadcasted"):
    """The expiry transaction is on its way; stakes go back."""

    @consumes
    def split(self, split_txid: str) -> Step[DeltaBroadcasted]:
        """Delta has passed with a stake unpaid: the split was sent."""
        return Step(self._split(None, split_txid), f"split {split_txid} sent")

    @consumes
    def closed(self) -> Step[Completed]:
        """The cooperative close, or the reclaim, is confirmed and every stake is settled."""
        return Step(Completed(funding_txid=self.funding_txid, outcome=None), "the expiry output was closed")

    @consumes
    def outcome_confirmed(self, outcome: int) -> Step[OutcomeBroadcasted]:
        """An outcome transaction confirmed instead: the ledger follows what is in the chain."""
        step = OutcomeBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=self.written_off,
            outcome=outcome,
        )
        return Step(step, "an outcome transaction confirmed instead of the expiry")
