"""Claims that a coin of the player's pays for: a child on the anchor, or the last transaction with one more input."""

from __future__ import annotations

from coordinator_core.claim_kit.fee_coin import FeeCoin
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.claim_kit.plan import ClaimDestination, ClaimPlan
from coordinator_core.dlc.anchor import anchor_child
from coordinator_core.dlc.claims import DustSweep
from coordinator_core.errors import Misuse
from coordinator_core.transaction import (
    SEQUENCE_REPLACEABLE,
    Transaction,
    TxIn,
    TxOut,
    fee_for_weight,
    predict_weight,
    taproot_sighash,
)
from coordinator_core.transaction.weight import dust_limit
from coordinator_core.units import Sats


def child_of(kit: ClaimKit, parent: Transaction, coin: FeeCoin, destination: ClaimDestination) -> Transaction:
    """A signed child of a signed outcome, expiry or split: it spends the anchor and the coin, change to the player.

    Parent and child together pay the destination's fee rate, and the child never less for itself. Raises
    BumpUnaffordable, MissingAnchor, InvalidInput for a parent that is not of the kit's contract.
    """
    made = anchor_child(kit.signed.contract, parent, [coin.coin], destination.script_pubkey, destination.fee_rate)
    return coin.sign(made.transaction, 1, made.previous_outputs)


def win_with_coin(plan: ClaimPlan, coin: FeeCoin, destination: ClaimDestination) -> Transaction:
    """The plan's last transaction with the coin beside the prize: one output, both values less the fee.

    So even a prize that is worth less than its own fee is claimed. It replaces an earlier last transaction that is
    not mined yet (BIP125). Raises DustSweep, Misuse for a plan that does not reach its end.
    """
    prize = plan.win
    if prize is None:
        raise Misuse("the plan ends before the win: a secret or the destination is missing")
    script, previous = destination.script_pubkey, (prize.output, coin.output)
    weight = predict_weight([prize.weight, coin.input_weight], [len(script)])
    # Nodes compare a fee with whole virtual bytes.
    value = sum(output.value for output in previous) - fee_for_weight(destination.fee_rate, 4 * -(-weight // 4))
    if value < dust_limit(script):
        raise DustSweep("fee_rate", f"leaves {value} sat after the fee", "give a larger coin or a lower fee rate")
    inputs = (TxIn(prize.outpoint, prize.sequence), TxIn(coin.outpoint, SEQUENCE_REPLACEABLE))
    transaction = Transaction(inputs, (TxOut(Sats(value), script),))
    message = taproot_sighash(transaction, 0, previous, prize.leaf_hash)
    return coin.sign(transaction.with_witness(0, prize.witness(message)), 1, previous)
