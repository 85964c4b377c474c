"""Bitcoin transactions as contracts use them: codec, scripts, taproot, signature hashes, weights and fees."""

from coordinator_core.transaction.model import (
    SEQUENCE_FINAL,
    SEQUENCE_LOCK_TIME,
    SEQUENCE_REPLACEABLE,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    bytes_from_hex,
    txid_from_hex,
)
from coordinator_core.transaction.script import DUST_PAY_TO_ANCHOR, PAY_TO_ANCHOR, pay_to_taproot, push_int
from coordinator_core.transaction.sighash import taproot_sighash
from coordinator_core.transaction.taproot import (
    Node,
    TaprootOutput,
    branch_hash,
    huffman_tree,
    leaf_hash,
    tweak_public_key,
)
from coordinator_core.transaction.weight import fee_for_weight, input_weight, output_weight, predict_weight

__all__ = [
    "DUST_PAY_TO_ANCHOR",
    "PAY_TO_ANCHOR",
    "SEQUENCE_FINAL",
    "SEQUENCE_LOCK_TIME",
    "SEQUENCE_REPLACEABLE",
    "Node",
    "OutPoint",
    "TaprootOutput",
    "Transaction",
    "TxIn",
    "TxOut",
    "branch_hash",
    "bytes_from_hex",
    "fee_for_weight",
    "huffman_tree",
    "input_weight",
    "leaf_hash",
    "output_weight",
    "pay_to_taproot",
    "predict_weight",
    "push_int",
    "taproot_sighash",
    "tweak_public_key",
    "txid_from_hex",
]
