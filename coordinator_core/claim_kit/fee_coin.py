"""A coin of the player's own that pays for a claim: a taproot key spend (BIP86) or pay-to-witness-pubkey-hash.

Whoever holds no more than a kit has nothing that a fee could be taken of until the claim's last transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

# Carries RIPEMD160 itself where OpenSSL leaves it out; the package has no stubs.
from embit.hashes import hash160  # pyright: ignore[reportMissingTypeStubs]

from coordinator_core.dlc.anchor import Coin
from coordinator_core.errors import Fault, Refused
from coordinator_core.secp256k1 import SecretKey, ecdsa_sign, schnorr_sign
from coordinator_core.transaction import OutPoint, Transaction, TxOut, input_weight, taproot_sighash
from coordinator_core.transaction.model import sha256d
from coordinator_core.transaction.weight import KEY_PATH_WITNESS
from coordinator_core.units import Weight

_P2TR: Final = b"\x51\x20"
_P2WPKH: Final = b"\x00\x14"
_SIGHASH_ALL: Final = b"\x01"
_LONGEST_ECDSA: Final = 72
"""DER of a low S with a 33-byte r, and the sighash type."""
_KEY_BYTES: Final = 33


@dataclass(frozen=True, slots=True)
class FeeCoin:
    """An output and the key that alone spends it. Made by `of`, which checks that they belong together."""

    outpoint: OutPoint
    output: TxOut
    _key: SecretKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, outpoint: OutPoint, output: TxOut, key: SecretKey) -> FeeCoin:
        """The coin. Raises Refused for a script that this key does not spend alone."""
        if output.script_pubkey not in (taproot_script(key), witness_key_hash_script(key)):
            reason = "is not locked to this key alone"
            fix = "a bc1p (BIP86) or bc1q coin and its own key"
            raise Refused("fee coin", reason, fix, fault=Fault.PLAYER)
        return cls(outpoint, output, key)

    @property
    def input_weight(self) -> Weight:
        """Weight of its signed input, never less than it will be."""
        return input_weight(KEY_PATH_WITNESS if self._is_taproot else (_LONGEST_ECDSA, _KEY_BYTES))

    @property
    def coin(self) -> Coin:
        """As the contract's anchor room takes it."""
        return Coin(self.outpoint, self.output, self.input_weight)

    def sign(self, transaction: Transaction, index: int, previous_outputs: Sequence[TxOut]) -> Transaction:
        """The transaction with the witness of its input `index`, which spends this coin."""
        if self._is_taproot:
            message = taproot_sighash(transaction, index, previous_outputs)
            return transaction.with_witness(index, (schnorr_sign(message, self._key.taproot_tweaked()),))
        message = witness_v0_sighash(transaction, index, self.output)
        signature = der_signature(ecdsa_sign(message, self._key)) + _SIGHASH_ALL
        return transaction.with_witness(index, (signature, self._key.public_key))

    @property
    def _is_taproot(self) -> bool:
        return self.output.script_pubkey.startswith(_P2TR)


def taproot_script(key: SecretKey) -> bytes:
    """The output script of a key alone, without script tree (BIP86)."""
    return _P2TR + key.taproot_tweaked().x_only


def witness_key_hash_script(key: SecretKey) -> bytes:
    """The pay-to-witness-pubkey-hash script of a key (BIP141)."""
    return _P2WPKH + hash160(key.public_key)


def witness_v0_sighash(transaction: Transaction, index: int, spent: TxOut) -> bytes:
    """What input `index` signs that spends a pay-to-witness-pubkey-hash output, sighash type ALL (BIP143)."""
    inputs, key_hash = transaction.inputs, spent.script_pubkey[2:]
    # OP_DUP OP_HASH160 <20> OP_EQUALVERIFY OP_CHECKSIG, with its length: the script code of the key hash.
    script_code = b"\x19\x76\xa9\x14" + key_hash + b"\x88\xac"
    return sha256d(
        transaction.version.to_bytes(4, "little")
        + sha256d(b"".join(i.previous_output.serialize() for i in inputs))
        + sha256d(b"".join(i.sequence.to_bytes(4, "little") for i in inputs))
        + inputs[index].previous_output.serialize()
        + script_code
        + spent.value.to_bytes(8, "little")
        + inputs[index].sequence.to_bytes(4, "little")
        + sha256d(b"".join(o.serialize() for o in transaction.outputs))
        + transaction.lock_time.to_bytes(4, "little")
        + (1).to_bytes(4, "little")
    )


def der_signature(compact: bytes) -> bytes:
    """A compact signature (r || s, 64 bytes) in strict DER (BIP66)."""
    body = _der_integer(compact[:32]) + _der_integer(compact[32:])
    return b"\x30" + bytes([len(body)]) + body


def _der_integer(number: bytes) -> bytes:
    digits = number.lstrip(b"\x00") or b"\x00"
    if digits[0] & 0x80:
        digits = b"\x00" + digits
    return b"\x02" + bytes([len(digits)]) + digits
