"""AwaitingAttestation: the oracle decides, or the contract's expiry does."""

from __future__ import annotations

from coordinator.domain.competitions.states.outcome_broadcasted import ExpiryBroadcasted, OutcomeBroadcasted
from coordinator.domain.competitions.states.returning import Returning, without_contract
from coordinator.domain.facts import Attested
from coordinator.domain.typestate import State, Step, consumes


class AwaitingAttestation(State, frozen=True, kw_only=True, tag="awaiting_attestation"):
    """Every ticket is settled or written off."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str
    funding_txid: str
    contract: str
    written_off: tuple[str, ...] = ()

    @consumes
    def attested(self, attested: Attested) -> Step[OutcomeBroadcasted]:
        """The scalar opens the locking point of an outcome of this contract."""
        step = OutcomeBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=self.written_off,
            outcome=attested.outcome,
        )
        return Step(step, f"the oracle attested outcome {attested.outcome}")

    @consumes
    def conflicted(self, by_txid: str) -> Step[Returning]:
        """A reorg took the funding out and another spend of an input has required_confirmations: tickets are OWED."""
        return without_contract(by_txid)

    @consumes
    def expired(self) -> Step[ExpiryBroadcasted]:
        """The chain's median time is past the contract's expiry and the oracle was silent."""
        step = ExpiryBroadcasted(
            roster=self.roster,
            attempt=self.attempt,
            funding_txid=self.funding_txid,
            contract=self.contract,
            written_off=self.written_off,
        )
        return Step(step, "the contract expired without an attestation: everyone gets its stake back")
