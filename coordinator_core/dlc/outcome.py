"""Outcome and expiry transactions and the output they make (dlctix section 3, dlctix 0.2 sections 2 and 3)."""

from __future__ import annotations

from typing import Final

from coordinator_core.dlc.amounts import above_dust, anchor_outputs, script_lengths
from coordinator_core.dlc.outcomes import EXPIRY, Outcome
from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.transaction import (
    SEQUENCE_LOCK_TIME,
    TxOut,
    fee_for_weight,
    huffman_tree,
    input_weight,
    leaf_hash,
    pay_to_taproot,
    predict_weight,
    push_int,
)
from coordinator_core.transaction.presigned import PresignedForm
from coordinator_core.transaction.script import (
    OP_CHECKSEQUENCEVERIFY,
    OP_CHECKSIG,
    OP_DROP,
    OP_EQUALVERIFY,
    OP_SHA256,
    push_32,
)
from coordinator_core.transaction.taproot import Node
from coordinator_core.transaction.weight import KEY_PATH_WITNESS
from coordinator_core.units import Sats

OUTCOME_VOUT: Final = 0
_SPLIT_LEAF_WEIGHT: Final = 1
_RECLAIM_LEAF_WEIGHT: Final = 0xFFFFFFFF


def hash_locked_script(preimage_hash: bytes, x_only: bytes) -> bytes:
    """SHA256 <hash> EQUALVERIFY <key> CHECKSIG: a preimage and a signature."""
    return OP_SHA256 + push_32(preimage_hash) + OP_EQUALVERIFY + push_32(x_only) + OP_CHECKSIG


def delayed_script(blocks: int, rest: bytes) -> bytes:
    """<blocks> CHECKSEQUENCEVERIFY DROP before `rest`: a spend only `blocks` blocks after the output."""
    return push_int(blocks) + OP_CHECKSEQUENCEVERIFY + OP_DROP + rest


def reclaim_script(parameters: ContractParameters) -> bytes:
    """The market maker's leaf of outcome and split outputs: alone after 2 * delta blocks."""
    signature = push_32(parameters.market_maker[1:]) + OP_CHECKSIG
    return delayed_script(reclaim_delay(parameters), signature)


def reclaim_delay(parameters: ContractParameters) -> int:
    """Blocks after which the market maker may reclaim an output. Fits a relative lock for every valid delta."""
    return 2 * parameters.relative_locktime_block_delta


class OutcomeTransactions:
    """What the outcome transactions of one contract share."""

    __slots__ = ("_anchors", "_attested", "_expired", "_parameters", "_reclaim_leaf", "value")

    def __init__(self, parameters: ContractParameters) -> None:
        self._parameters = parameters
        self._anchors = anchor_outputs(parameters)
        self._reclaim_leaf = (_RECLAIM_LEAF_WEIGHT, leaf_hash(reclaim_script(parameters)))
        self.value = outcome_value(parameters)
        expiry = parameters.event.expiry or 0
        self._attested = PresignedForm(parameters.funding_value, SEQUENCE_LOCK_TIME, 0)
        self._expired = PresignedForm(parameters.funding_value, SEQUENCE_LOCK_TIME, expiry)

    def form(self, outcome: Outcome) -> PresignedForm:
        """Lock time, sequence and input value of an outcome's transaction."""
        return self._expired if outcome == EXPIRY else self._attested

    def split_script(self, outcome: Outcome, winner: int, winners_key: bytes) -> bytes:
        """Leaf through which the split is spent with this winner's ticket preimage.

        `winners_key` is the untweaked aggregate of market maker and winners, x-only.
        """
        script = hash_locked_script(self._parameters.players[winner].ticket_hash, winners_key)
        if self._parameters.outcome_bound_splits:
            return push_int(outcome) + OP_DROP + script
        return script

    def tree(self, split_leaves: tuple[bytes, ...]) -> Node:
        """Script tree of an outcome output: split leaves in ascending player order, and the reclaim leaf."""
        return huffman_tree([*((_SPLIT_LEAF_WEIGHT, leaf) for leaf in split_leaves), self._reclaim_leaf])

    def outputs(self, output_key: bytes) -> tuple[TxOut, ...]:
        """Outputs of an outcome transaction that pays to this x-only key."""
        return (TxOut(self.value, pay_to_taproot(output_key)), *self._anchors)


def outcome_value(parameters: ContractParameters) -> Sats:
    """Value of every outcome output. Raises InsufficientFunds when fee and anchor leave no more than dust."""
    weight = predict_weight([input_weight(KEY_PATH_WITNESS)], script_lengths(parameters, 1))
    cost = fee_for_weight(parameters.fee_rate, weight) + (parameters.anchor or 0)
    return above_dust(parameters.funding_value - cost, "the outcome output")
