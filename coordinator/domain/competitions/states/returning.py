"""Returning: what is still to be given back before a competition may end without a contract."""

from __future__ import annotations

from typing import Literal

from coordinator.domain.competitions.states.ended import Cancelled, Failed
from coordinator.domain.typestate import State, Step, consumes

EndsIn = Literal["cancelled", "failed"]


class Returning(State, frozen=True, kw_only=True, tag="returning"):
    """Every invoice is being canceled, every reservation released; settled tickets become OWED."""

    reason: str
    ends_in: EndsIn

    @consumes
    def everything_returned(self) -> Step[Cancelled | Failed]:
        """Every invoice is CANCELED, or SETTLED with its debt recorded."""
        if self.ends_in == "failed":
            return Step(Failed(reason=self.reason), self.reason)
        return Step(Cancelled(reason=self.reason), self.reason)


def without_contract(by_txid: str) -> Step[Returning]:
    """The step of a competition whose funding left the chain for good."""
    reason = f"the funding can never confirm again: {by_txid} spent one of its inputs"
    return Step(Returning(reason=reason, ends_in="failed"), reason)
