"""The signatures that make a contract enforceable (dlctix sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from coordinator_core.dlc.outcomes import Outcome, SigningSlot, WinCondition, in_order, outcome_order


@dataclass(frozen=True, slots=True)
class ContractSignatures:
    """Aggregated signatures, of a whole contract or pruned for one player. Kept as read-only copies in order."""

    by_outcome: Mapping[Outcome, bytes]
    """Of outcome transactions: 65-byte adaptor signatures, and the expiry's 64-byte signature under EXPIRY."""
    by_win_condition: Mapping[WinCondition, bytes]
    """Of split transactions through one winner's leaf: 64 bytes."""

    def __post_init__(self) -> None:
        outcomes = {o: self.by_outcome[o] for o in in_order(self.by_outcome)}
        splits = self.by_win_condition
        order = sorted(splits, key=lambda w: (*outcome_order(w.outcome), w.player))
        object.__setattr__(self, "by_outcome", MappingProxyType(outcomes))
        object.__setattr__(self, "by_win_condition", MappingProxyType({w: splits[w] for w in order}))

    def get(self, slot: SigningSlot) -> bytes | None:
        """The signature of a slot, None if it is not here."""
        if isinstance(slot, WinCondition):
            return self.by_win_condition.get(slot)
        return self.by_outcome.get(slot)
