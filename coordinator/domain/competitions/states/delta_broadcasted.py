"""DeltaBroadcasted: each winner has its own output; it is claimed, bought or reclaimed."""

from __future__ import annotations

from coordinator.domain.competitions.states.ended import Completed
from coordinator.domain.competitions.states.returning import Returning, without_contract
from coordinator.domain.typestate import State, Step, consumes


class DeltaBroadcasted(State, frozen=True, kw_only=True, tag="delta_broadcasted"):
    """The split transaction is on its way or confirmed."""

    roster: tuple[str, ...]
    attempt: int
    funding_txid: str
    contract: str
    written_off: tuple[str, ...] = ()
    outcome: int | None
    split_txid: str

    @consumes
    def conflicted(self, by_txid: str) -> Step[Returning]:
        """A reorg took the funding out and another spend of an input has required_confirmations: tickets are OWED."""
        return without_contract(by_txid)

    @consumes
    def all_settled(self) -> Step[Completed]:
        """Each prize is PAID, CLAIMED, OWED, VOID or UNECONOMIC, each output that is worth it swept or claimed."""
        return Step(Completed(funding_txid=self.funding_txid, outcome=self.outcome), "every prize is settled")
