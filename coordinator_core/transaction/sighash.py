"""Signature hashes of BIP341 with sighash type DEFAULT, for key spends and tapscript leaves (BIP342)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import sha256, tagged_hash
from coordinator_core.transaction.model import Transaction, TxOut
from coordinator_core.transaction.wire import length_prefixed

EPOCH_AND_TYPE: Final = b"\x00\x00"
_KEY_SPEND: Final = b"\x00"
_LEAF_SPEND: Final = b"\x02"
_KEY_VERSION_AND_NO_CODESEPARATOR: Final = b"\x00\xff\xff\xff\xff"


def taproot_sighash(
    transaction: Transaction, index: int, previous_outputs: Sequence[TxOut], leaf: bytes | None = None
) -> bytes:
    """The 32-byte message that input `index` signs, without annex.

    `previous_outputs` are those of all inputs in order; `leaf` is the TapLeaf hash of a script spend.
    Raises InvalidInput when the lists do not fit.
    """
    inputs = transaction.inputs
    if len(previous_outputs) != len(inputs):
        reason = f"has {len(previous_outputs)} entries for {len(inputs)} inputs"
        raise InvalidInput("previous_outputs", reason, "one for each input")
    if not 0 <= index < len(inputs):
        raise InvalidInput("index", f"the transaction has no input {index}", f"0 to {len(inputs) - 1}")
    message = (
        EPOCH_AND_TYPE
        + transaction.version.to_bytes(4, "little")
        + transaction.lock_time.to_bytes(4, "little")
        + sha256(b"".join(i.previous_output.serialize() for i in inputs))
        + sha256(b"".join(o.value.to_bytes(8, "little") for o in previous_outputs))
        + sha256(b"".join(length_prefixed(o.script_pubkey) for o in previous_outputs))
        + sha256(b"".join(i.sequence.to_bytes(4, "little") for i in inputs))
        + sha256(b"".join(o.serialize() for o in transaction.outputs))
    )
    return tagged_hash("TapSighash", message + spend_suffix(index, leaf))


def spend_suffix(index: int, leaf: bytes | None) -> bytes:
    """The end of the signature message: spend type, input index and what a leaf adds."""
    position = index.to_bytes(4, "little")
    if leaf is None:
        return _KEY_SPEND + position
    return _LEAF_SPEND + position + leaf + _KEY_VERSION_AND_NO_CODESEPARATOR
