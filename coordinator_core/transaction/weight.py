"""Weights of transactions before they are signed, and fees. Fees are rounded up, in satoshi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coordinator_core.transaction.wire import compact_size_length
from coordinator_core.units import FeeRate, Sats, Weight

SCHNORR_SIGNATURE_BYTES: Final = 64
KEY_PATH_WITNESS: Final = (SCHNORR_SIGNATURE_BYTES,)
"""Lengths of the witness items of a taproot key spend with the default sighash type."""
P2TR_SCRIPT_BYTES: Final = 34
_OUTPOINT_AND_SEQUENCE: Final = 40
_MARKER_AND_FLAG: Final = 2


def witness_bytes(item_lengths: Iterable[int]) -> int:
    """Serialized bytes of a witness stack whose items have these lengths."""
    lengths = tuple(item_lengths)
    return compact_size_length(len(lengths)) + sum(length + compact_size_length(length) for length in lengths)


def input_weight(item_lengths: Iterable[int]) -> Weight:
    """Weight of a segwit input with empty scriptSig and this witness, inside a segwit transaction."""
    return Weight(4 * (_OUTPOINT_AND_SEQUENCE + 1) + witness_bytes(item_lengths))


def output_weight(script_bytes: int) -> Weight:
    """Weight of one output whose script has this length."""
    return Weight(4 * (8 + compact_size_length(script_bytes) + script_bytes))


def predict_weight(input_weights: Iterable[int], script_lengths: Iterable[int]) -> Weight:
    """Weight of a segwit transaction of these inputs (see `input_weight`) and output scripts."""
    inputs, scripts = tuple(input_weights), tuple(script_lengths)
    counts = compact_size_length(len(inputs)) + compact_size_length(len(scripts))
    fixed = 4 * (4 + counts + 4) + _MARKER_AND_FLAG
    return Weight(fixed + sum(inputs) + sum(map(output_weight, scripts)))


def fee_for_weight(fee_rate: FeeRate, weight: int) -> Sats:
    """`fee_rate` (satoshi per 1,000 weight units) times `weight`, rounded up."""
    return Sats(-(-fee_rate * weight // 1000))


def dust_limit(script_pubkey: bytes) -> Sats:
    """Value below which Bitcoin Core does not relay an output, at its default dust rate of 3 sat/vB."""
    spend_vsize = 67 if _is_witness_program(script_pubkey) else 148
    return Sats(3 * (output_weight(len(script_pubkey)) // 4 + spend_vsize))


def _is_witness_program(script: bytes) -> bool:
    version = script[:1]
    return (
        4 <= len(script) <= 42
        and (version == b"\x00" or b"\x51" <= version <= b"\x60")
        and (script[1] == len(script) - 2)
    )
