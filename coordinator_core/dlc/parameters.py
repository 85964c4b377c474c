"""What the parties of a ticketed contract agree on (dlctix section 1, dlctix 0.2 section 1).

These are values without judgement; `validation` says whether they make a contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from coordinator_core.dlc.outcomes import Outcome, WinCondition, in_order
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Blocks, FeeRate, Sats, is_int

PayoutWeights = Mapping[int, int]
"""Player index to weight; a player who is absent is paid nothing."""
DEFAULT_ANCHOR_VALUE: Final = Sats(240)
MAX_PLAYERS: Final = 1_000
MAX_OUTCOMES: Final = 100_000
"""Attestations of one event. Both limits bound the work that hostile parameters can ask for."""


@dataclass(frozen=True, slots=True)
class Player:
    """One ticket: the player's key for this contract, and the hashes of the two preimages (SHA256, 32 bytes)."""

    public_key: bytes
    """33 bytes."""
    ticket_hash: bytes
    """Of the preimage that the market maker sells to the player."""
    payout_hash: bytes
    """Of the preimage that the player sells for the payout outside the chain."""


@dataclass(frozen=True, slots=True)
class EventLockingConditions:
    """What the oracle has announced: one locking point (33 bytes) for each attestation, and the expiry."""

    locking_points: tuple[bytes, ...]
    expiry: int | None
    """Consensus lock time: a height below 500,000,000, otherwise a date. None: the contract cannot expire."""


@dataclass(frozen=True, slots=True)
class ContractParameters:
    """Everything but the funding outpoint. A player's index is the position in `players`."""

    market_maker: bytes
    """Public key, 33 bytes."""
    players: tuple[Player, ...]
    event: EventLockingConditions
    outcome_payouts: Mapping[Outcome, PayoutWeights]
    """Kept as a read-only copy in order: outcomes by index with expiry last, players ascending."""
    fee_rate: FeeRate
    funding_value: Sats
    relative_locktime_block_delta: Blocks
    anchor: Sats | None = None
    """Value of the anchor output of outcome, expiry and split transactions."""
    outcome_bound_splits: bool = False
    """Whether the leaves that a split spends commit to the outcome."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "players", tuple(self.players))
        object.__setattr__(self, "outcome_payouts", _ordered(self.outcome_payouts))

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every outcome that pays, in order."""
        return tuple(self.outcome_payouts)

    def winners(self, outcome: Outcome) -> tuple[int, ...]:
        """Players whom an outcome pays, ascending. Raises InvalidInput for an outcome without payouts."""
        return tuple(self.payouts(outcome))

    def payouts(self, outcome: Outcome) -> PayoutWeights:
        """Weights of an outcome. Raises InvalidInput for an outcome without payouts."""
        try:
            return self.outcome_payouts[outcome]
        except KeyError:
            raise InvalidInput("outcome", f"{outcome} is not paid by this contract", "another outcome") from None

    def win_conditions(self) -> Iterator[WinCondition]:
        """Every (outcome, winner), in order."""
        for outcome, weights in self.outcome_payouts.items():
            for player in weights:
                yield WinCondition(outcome, player)


def _ordered(payouts: Mapping[Outcome, PayoutWeights]) -> Mapping[Outcome, PayoutWeights]:
    for outcome, weights in payouts.items():
        if not is_int(outcome) or not all(is_int(i) and is_int(weight) for i, weight in weights.items()):
            raise InvalidInput("outcome_payouts", "holds something other than whole numbers", "integers only")
    return MappingProxyType({o: MappingProxyType(dict(sorted(payouts[o].items()))) for o in in_order(payouts)})
