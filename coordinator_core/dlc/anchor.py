"""Fee bumping through the anchor output: a child that pays for its parent (dlctix 0.2 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coordinator_core.dlc.contract import Contract
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.transaction import (
    PAY_TO_ANCHOR,
    SEQUENCE_REPLACEABLE,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    fee_for_weight,
    input_weight,
    predict_weight,
)
from coordinator_core.transaction.weight import KEY_PATH_WITNESS, dust_limit
from coordinator_core.units import FeeRate, Sats, Weight

_KEY_SPEND_WEIGHT: Final = input_weight(KEY_PATH_WITNESS)


class MissingAnchor(Refused):
    """The parent has no anchor output."""

    code = "dlc.missing_anchor"


class BumpUnaffordable(Refused):
    """The coins given do not pay the fee and a change output."""

    code = "dlc.bump_unaffordable"


@dataclass(frozen=True, slots=True)
class Coin:
    """An output of the bumping party's own wallet."""

    outpoint: OutPoint
    output: TxOut
    input_weight: Weight = _KEY_SPEND_WEIGHT
    """Weight of its signed input; by default that of a taproot key spend."""


@dataclass(frozen=True, slots=True)
class AnchorChild:
    """An unsigned child: input 0 is the anchor and needs no witness, the wallet signs the others."""

    transaction: Transaction
    previous_outputs: tuple[TxOut, ...]
    fee: Sats


def anchor_child(
    contract: Contract, parent: Transaction, coins: Sequence[Coin], change_script: bytes, fee_rate: FeeRate
) -> AnchorChild:
    """Child of a signed outcome, expiry or split transaction that lifts both together to `fee_rate`.

    Never pays less than `fee_rate` for itself. Raises InvalidInput for a parent that is not of this contract,
    MissingAnchor, or BumpUnaffordable when the change would be dust.
    """
    parent_fee = presigned_fee(contract, parent)
    anchor_vout = anchor_index(parent)
    child_weight = predict_weight([input_weight(()), *(c.input_weight for c in coins)], [len(change_script)])
    child_vsize = -(-child_weight // 4)
    package_fee = fee_for_weight(fee_rate, 4 * (parent.vsize + child_vsize))
    fee = Sats(max(package_fee - parent_fee, fee_for_weight(fee_rate, 4 * child_vsize)))

    previous = (parent.outputs[anchor_vout], *(coin.output for coin in coins))
    change = sum(output.value for output in previous) - fee
    if change < dust_limit(change_script):
        short = dust_limit(change_script) - change
        raise BumpUnaffordable("coins", f"fall short by {short} sat", "give more coins or a lower fee rate")
    outpoints = (parent.outpoint(anchor_vout), *(coin.outpoint for coin in coins))
    inputs = tuple(TxIn(outpoint, SEQUENCE_REPLACEABLE) for outpoint in outpoints)
    return AnchorChild(Transaction(inputs, (TxOut(Sats(change), change_script),)), previous, fee)


def anchor_index(parent: Transaction) -> int:
    """Index of a transaction's anchor output, which is the last one. Raises MissingAnchor."""
    if parent.outputs[-1].script_pubkey != PAY_TO_ANCHOR:
        raise MissingAnchor("parent", "has no anchor output", "bump a contract that was made with anchors")
    return len(parent.outputs) - 1


def presigned_fee(contract: Contract, parent: Transaction) -> Sats:
    """What a signed outcome, expiry or split transaction pays to miners.

    Raises InvalidInput for one that is not signed or not of this contract.
    """
    if not parent.has_witness:
        raise InvalidInput("parent", "is not signed", "give the signed transaction: its size counts")
    txid = parent.txid
    for outcome in contract.outcomes:
        if txid == contract.outcome_txid(outcome):
            return Sats(contract.parameters.funding_value - sum(o.value for o in parent.outputs))
        if txid == contract.split_txid(outcome):
            return contract.split_fee(outcome)
    raise InvalidInput("parent", "is not a transaction of this contract", "give an outcome, expiry or split")
