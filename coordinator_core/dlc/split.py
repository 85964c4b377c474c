"""Split transactions and the outputs of single winners (dlctix section 4, dlctix 0.2 sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator_core.dlc.amounts import InsufficientFunds, above_dust, anchor_outputs, script_lengths
from coordinator_core.dlc.outcome import delayed_script, hash_locked_script, reclaim_script
from coordinator_core.dlc.parameters import ContractParameters, PayoutWeights
from coordinator_core.musig2 import KeySet
from coordinator_core.transaction import (
    Node,
    TaprootOutput,
    TxOut,
    fee_for_weight,
    input_weight,
    leaf_hash,
    predict_weight,
)
from coordinator_core.transaction.presigned import PresignedForm
from coordinator_core.transaction.weight import SCHNORR_SIGNATURE_BYTES
from coordinator_core.units import Sats, Weight


@dataclass(frozen=True, slots=True)
class WinnerOutput:
    """A winner's output of a split. It depends on player, market maker and delta only, not on the outcome."""

    key_set: KeySet
    """Market maker and winner, untweaked."""
    win_script: bytes
    sellback_script: bytes
    reclaim_script: bytes
    taproot: TaprootOutput

    @classmethod
    def build(cls, parameters: ContractParameters, player: int) -> WinnerOutput:
        """The output of player number `player`."""
        winner, delta = parameters.players[player], parameters.relative_locktime_block_delta
        key_set = KeySet.aggregate([parameters.market_maker, winner.public_key])
        win = delayed_script(delta, hash_locked_script(winner.ticket_hash, winner.public_key[1:]))
        sellback = hash_locked_script(winner.payout_hash, parameters.market_maker[1:])
        reclaim = reclaim_script(parameters)
        win_or_reclaim = Node.branch(Node(leaf_hash(win)), Node(leaf_hash(reclaim)))
        tree = Node.branch(Node(leaf_hash(sellback)), win_or_reclaim)
        return cls(key_set, win, sellback, reclaim, TaprootOutput.build(key_set.public_key, tree))


class SplitTransactions:
    """What the split transactions of one contract share."""

    __slots__ = ("_anchors", "_fees", "_outcome_value", "_parameters", "_winner_outputs", "form")

    def __init__(self, parameters: ContractParameters, outcome_value: Sats) -> None:
        self._parameters = parameters
        self._outcome_value = outcome_value
        self._anchors = anchor_outputs(parameters)
        self._fees: dict[tuple[int, int], Sats] = {}
        self._winner_outputs: dict[int, WinnerOutput] = {}
        self.form = PresignedForm(outcome_value, parameters.relative_locktime_block_delta, 0)

    def winner_output(self, player: int) -> WinnerOutput:
        """The output of a player, built once. Raises InvalidInput for an unknown player."""
        output = self._winner_outputs.get(player)
        if output is None:
            output = self._winner_outputs[player] = WinnerOutput.build(self._parameters, player)
        return output

    def outputs(self, weights: PayoutWeights, leaf_bytes: int) -> tuple[TxOut, ...]:
        """Winners' outputs in ascending player order, then the anchor. Raises InsufficientFunds."""
        shares = self._shares(weights, leaf_bytes)
        scripts = (self.winner_output(player).taproot.script_pubkey for player in weights)
        return (*map(TxOut, shares, scripts), *self._anchors)

    def _shares(self, weights: PayoutWeights, leaf_bytes: int) -> Sequence[Sats]:
        # The anchor comes off before the weights, in proportion to them; only the fee is shared equally.
        available = self._outcome_value - (self._parameters.anchor or 0)
        if available < 0:
            raise InsufficientFunds("the split's anchor", available)
        fee_share = self.fee(len(weights), leaf_bytes) // len(weights)
        total = sum(weights.values())
        return [
            above_dust(available * weight // total - fee_share, f"the split output of player {player}")
            for player, weight in weights.items()
        ]

    def fee(self, winners: int, leaf_bytes: int) -> Sats:
        """Fee of a split to so many winners, before it is divided, at the contract's rate."""
        fee = self._fees.get((winners, leaf_bytes))
        if fee is None:
            weight = split_weight(self._parameters, winners, leaf_bytes)
            fee = self._fees[winners, leaf_bytes] = fee_for_weight(self._parameters.fee_rate, weight)
        return fee


def split_weight(parameters: ContractParameters, winners: int, leaf_bytes: int) -> Weight:
    """Weight of a split through its deepest leaf, whose script has `leaf_bytes` bytes."""
    # The reclaim leaf hangs at depth 1, the winners' leaves fill a balanced subtree beside it.
    deepest = 1 + (winners - 1).bit_length()
    witness = (SCHNORR_SIGNATURE_BYTES, 32, leaf_bytes, 33 + 32 * deepest)
    return predict_weight([input_weight(witness)], script_lengths(parameters, winners))
