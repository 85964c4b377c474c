"""AwaitingSigning(i): every player's client approves every batch, then every signature is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.domain.competitions.states.funding_ready import FundingReady
from coordinator.domain.competitions.states.returning import EndsIn, Returning
from coordinator.domain.facts import ContractSigned
from coordinator.domain.typestate import State, Step, consumes
from coordinator_core.errors import Misuse

if TYPE_CHECKING:
    from coordinator.domain.competitions.states.event_created import EventCreated


class AwaitingSigning(State, frozen=True, kw_only=True, tag="awaiting_signing"):
    """Batches are open at keymeld."""

    roster: tuple[str, ...]
    attempt: int
    event_id: str
    funding_txid: str

    @consumes
    def contract_signed(self, signed: ContractSigned) -> Step[FundingReady]:
        """Every signature of the contract was verified."""
        if signed.attempt != self.attempt:
            raise Misuse("signatures of another attempt")
        step = FundingReady(
            roster=self.roster,
            attempt=self.attempt,
            event_id=self.event_id,
            funding_txid=self.funding_txid,
            contract=signed.blob,
        )
        return Step(step, f"attempt {self.attempt}: the contract is signed, kits are published")

    @consumes
    def next_attempt(self, roster: tuple[str, ...], reason: str) -> Step[EventCreated]:
        """Some did not approve, or keymeld failed: the rest goes on with fresh keys and a fresh event."""
        from coordinator.domain.competitions.states.event_created import EventCreated

        return Step(EventCreated(roster=roster, attempt=self.attempt + 1), reason)

    @consumes
    def give_up(self, reason: str, ends_in: EndsIn) -> Step[Returning]:
        """No attempt, no time, or too few players left."""
        return Step(Returning(reason=reason, ends_in=ends_in), reason)
