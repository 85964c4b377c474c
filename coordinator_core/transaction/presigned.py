"""Ids and signature hashes of many one-input transactions that share most of their fields.

A contract pre-signs thousands of transactions. What they share is encoded and hashed once here; the results
equal those of `Transaction` and `taproot_sighash` byte for byte.
"""

from __future__ import annotations

from coordinator_core.secp256k1 import sha256, tagged_hash
from coordinator_core.transaction.model import OutPoint, Transaction, TxIn, TxOut, sha256d
from coordinator_core.transaction.script import pay_to_taproot
from coordinator_core.transaction.sighash import EPOCH_AND_TYPE, spend_suffix
from coordinator_core.transaction.wire import compact_size, length_prefixed
from coordinator_core.units import Sats

_VERSION = (2).to_bytes(4, "little")


class PresignedForm:
    """What they share: version 2, one taproot input of a given value, a sequence and a lock time."""

    __slots__ = ("_after", "_amount_digest", "_head", "_sequence_digest", "lock_time", "sequence", "value")

    def __init__(self, value: Sats, sequence: int, lock_time: int) -> None:
        self.value = value
        self.sequence = sequence
        self.lock_time = lock_time
        lock_time_bytes, sequence_bytes = lock_time.to_bytes(4, "little"), sequence.to_bytes(4, "little")
        self._head = EPOCH_AND_TYPE + _VERSION + lock_time_bytes
        self._amount_digest = sha256(value.to_bytes(8, "little"))
        self._sequence_digest = sha256(sequence_bytes)
        self._after = b"\x00" + sequence_bytes

    def txid(self, outpoint: bytes, outputs: bytes, output_count: int) -> bytes:
        """Transaction id, from the 36-byte outpoint and the concatenated encoded outputs."""
        return sha256d(
            _VERSION + b"\x01" + outpoint + self._after + compact_size(output_count) + outputs + self._head[6:]
        )

    def message(self, outpoint: bytes, output_key: bytes, outputs: bytes) -> bytes:
        """The signature message without its end, for an input that spends an output of this x-only key."""
        return (
            self._head
            + sha256(outpoint)
            + self._amount_digest
            + sha256(length_prefixed(pay_to_taproot(output_key)))
            + self._sequence_digest
            + sha256(outputs)
        )

    def transaction(self, outpoint: OutPoint, outputs: tuple[TxOut, ...]) -> Transaction:
        """The unsigned transaction itself."""
        return Transaction((TxIn(outpoint, self.sequence),), outputs, self.lock_time)


_KEY_SUFFIX = spend_suffix(0, None)


def key_spend_sighash(message: bytes) -> bytes:
    """Signature hash of a key spend."""
    return tagged_hash("TapSighash", message + _KEY_SUFFIX)


def leaf_spend_sighash(message: bytes, leaf: bytes) -> bytes:
    """Signature hash of a spend through the leaf with this TapLeaf hash."""
    return tagged_hash("TapSighash", message + spend_suffix(0, leaf))
