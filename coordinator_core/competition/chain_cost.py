"""What a competition's own transactions weigh and cost (money section 1; weights: dlctix 0.2 section 2.1).

Predictions from the number of entries and places alone, before there are keys: a test compares them with the
transactions that dlc builds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, perm
from typing import Final

from coordinator_core.competition.terms_rules import ANCHOR
from coordinator_core.transaction import (
    PAY_TO_ANCHOR,
    fee_for_weight,
    input_weight,
    predict_weight,
    push_int,
)
from coordinator_core.transaction.script import OP_DROP
from coordinator_core.transaction.weight import KEY_PATH_WITNESS, P2TR_SCRIPT_BYTES, SCHNORR_SIGNATURE_BYTES
from coordinator_core.units import FeeRate, Sats, Weight

OUTCOME_WEIGHT: Final = predict_weight([input_weight(KEY_PATH_WITNESS)], [P2TR_SCRIPT_BYTES, len(PAY_TO_ANCHOR)])
"""An outcome or expiry transaction with its anchor: 496."""
_EXPIRY_INDEX: Final = -1
"""What binds the expiry's split leaves."""
FUNDING_INPUTS: Final = 2
"""Coins that a funding transaction is taken to spend."""
_P2WPKH_WITNESS: Final = (72, 33)
"""Signature and key of the heaviest input our wallet has."""
_PLAIN_LEAF: Final = 69
"""Bytes of a split leaf that is not bound to its outcome."""


@dataclass(frozen=True, slots=True)
class ContractShape:
    """The contract of `entries` players and `places` prizes; bound splits from two places on, always an
    anchor.
    """

    entries: int
    places: int
    anchor: Sats = ANCHOR

    @property
    def rankings(self) -> int:
        """Ranked outcomes; refund-all has the index after the last of them."""
        return perm(self.entries, self.places)

    @property
    def attested_outcomes(self) -> int:
        """Outcomes that the oracle may attest: the rankings and refund-all."""
        return self.rankings + 1

    @property
    def winner_sets(self) -> int:
        """Distinct sets of signers of split transactions: C(n, k) and everybody."""
        return comb(self.entries, self.places) + 1

    @property
    def signing_items(self) -> int:
        """Signatures of the whole contract: P(n,k) * (k + 1) + 2n + 2."""
        return self.rankings * (self.places + 1) + 2 * self.entries + 2

    def ranked_split_weight(self) -> Weight:
        """The heaviest split of a ranked outcome."""
        return self._split_weight(self.places, self.rankings - 1)

    def refund_split_weight(self) -> Weight:
        """The split of refund-all, to every player."""
        return self._split_weight(self.entries, self.rankings)

    def expiry_split_weight(self) -> Weight:
        """The split after the expiry, to every player."""
        return self._split_weight(self.entries, _EXPIRY_INDEX)

    def _split_weight(self, winners: int, outcome: int) -> Weight:
        bound = len(push_int(outcome)) + len(OP_DROP) if self.places > 1 else 0
        deepest = 1 + (winners - 1).bit_length()
        witness = (SCHNORR_SIGNATURE_BYTES, 32, _PLAIN_LEAF + bound, 33 + 32 * deepest)
        return predict_weight([input_weight(witness)], [P2TR_SCRIPT_BYTES] * winners + [len(PAY_TO_ANCHOR)])


@dataclass(frozen=True, slots=True)
class ChainCost:
    """What the chain takes for one contract, in sat: fees of its three transactions and both anchors."""

    funding_fee: Sats
    outcome_fee: Sats
    split_fee: Sats
    anchors: Sats

    @property
    def contract_surplus(self) -> Sats:
        """What the funding output holds above the pool."""
        return Sats(self.outcome_fee + self.split_fee + self.anchors)

    @property
    def total(self) -> Sats:
        """What the network fees have to cover."""
        return Sats(self.funding_fee + self.contract_surplus)


def chain_cost(shape: ContractShape, rate: FeeRate) -> ChainCost:
    """The chain cost of a contract at `rate`: the one function behind price, kick-off check and budget."""
    return ChainCost(
        funding_fee=fee_for_weight(rate, funding_weight()),
        outcome_fee=fee_for_weight(rate, OUTCOME_WEIGHT),
        split_fee=fee_for_weight(rate, shape.ranked_split_weight()),
        anchors=Sats(2 * shape.anchor),
    )


def funding_weight(inputs: int = FUNDING_INPUTS) -> Weight:
    """A funding transaction: P2WPKH inputs, the contract's output and change to P2TR."""
    return predict_weight([input_weight(_P2WPKH_WITNESS)] * inputs, [P2TR_SCRIPT_BYTES] * 2)
