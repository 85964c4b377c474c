"""The seven spends that one party signs alone after the contract is funded (dlctix section 6, paths 4-10).

Each function checks keys and preimages and gives a `Spend`; `sweep` or `sign_spends` turns one or more of them into
a signed transaction. Who may spend when:

    win              the winner, delta blocks after the split         player key, ticket preimage
    sellback         the market maker, at once                        its key, payout preimage
    split_reclaim    the market maker, 2 * delta blocks after split   its key
    outcome_reclaim  the market maker, 2 * delta after the outcome    its key
    split_close      the market maker, at once                        its key and that winner's
    outcome_close    the market maker, at once                        its key and those of all winners
    funding_close    the market maker, at once                        its key and those of all players
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcome import reclaim_delay, reclaim_script
from coordinator_core.dlc.outcomes import Outcome, WinCondition
from coordinator_core.dlc.preimage import require_preimage
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner
from coordinator_core.secp256k1 import SecretKey, schnorr_sign
from coordinator_core.secret import Secret
from coordinator_core.transaction import (
    SEQUENCE_FINAL,
    OutPoint,
    TaprootOutput,
    Transaction,
    TxIn,
    TxOut,
    fee_for_weight,
    input_weight,
    leaf_hash,
    predict_weight,
    taproot_sighash,
)
from coordinator_core.transaction.weight import SCHNORR_SIGNATURE_BYTES, dust_limit
from coordinator_core.units import FeeRate, Sats, Weight

_SEQUENCE_AT_ONCE: Final = 0


class DustSweep(Refused):
    """What is left after the fee is not worth an output."""

    code = "dlc.dust_sweep"


@dataclass(frozen=True, slots=True)
class Spend:
    """One output of a contract, and what it takes to spend it."""

    path: str
    """Its name in dlctix, such as `split-win`."""
    outpoint: OutPoint
    output: TxOut
    sequence: int
    sign: Callable[[bytes], bytes] = field(repr=False, compare=False)
    """Gives a 64-byte BIP340 signature of a 32-byte signature hash."""
    preimages: tuple[bytes, ...] = field(default=(), repr=False)
    leaf: tuple[bytes, bytes] | None = None
    """Script and control block; None for a key spend."""

    @property
    def weight(self) -> Weight:
        """Weight of its signed input."""
        below = (*map(len, self.preimages), *map(len, self.leaf or ()))
        return input_weight((SCHNORR_SIGNATURE_BYTES, *below))

    def witness(self, message: bytes) -> tuple[bytes, ...]:
        """The witness stack, signing `message`."""
        return (self.sign(message), *self.preimages, *(self.leaf or ()))

    @property
    def leaf_hash(self) -> bytes | None:
        """TapLeaf hash, None for a key spend."""
        return None if self.leaf is None else leaf_hash(self.leaf[0])


def sweep(spends: Sequence[Spend], script_pubkey: bytes, fee_rate: FeeRate) -> Transaction:
    """Sign a transaction that moves everything, less the fee, to one output script.

    The fee is `fee_rate` times the exact weight, rounded up. Raises DustSweep if nothing worth an output is left.
    """
    total = sum(spend.output.value for spend in spends)
    weight = predict_weight([spend.weight for spend in spends], [len(script_pubkey)])
    value = total - fee_for_weight(fee_rate, weight)
    if value < dust_limit(script_pubkey):
        reason = f"leaves {value} sat of {total} after the fee"
        raise DustSweep("fee_rate", reason, f"keep at least {dust_limit(script_pubkey)} sat")
    return sign_spends(spends, (TxOut(Sats(value), script_pubkey),))


def sign_spends(spends: Sequence[Spend], outputs: Sequence[TxOut]) -> Transaction:
    """Sign a version 2 transaction of these inputs and outputs. Raises InvalidInput without inputs."""
    if not spends:
        raise InvalidInput("spends", "is empty", "give at least one")
    inputs = tuple(TxIn(spend.outpoint, spend.sequence) for spend in spends)
    transaction = Transaction(inputs, tuple(outputs))
    previous = [spend.output for spend in spends]
    for index, spend in enumerate(spends):
        message = taproot_sighash(transaction, index, previous, spend.leaf_hash)
        transaction = transaction.with_witness(index, spend.witness(message))
    return transaction


def win(contract: Contract, condition: WinCondition, player_key: SecretKey, ticket_preimage: bytes | Secret) -> Spend:
    """The winner's own spend of its split output. Raises InvalidInput for a wrong key, preimage or winner."""
    player = contract.parameters.players[_winner(contract, condition)]
    preimage = require_preimage(ticket_preimage, player.ticket_hash, "ticket preimage")
    sign = _leaf_signer(player_key, player.public_key, "player key")
    script = contract.winner_output(condition.player).win_script
    delta = contract.parameters.relative_locktime_block_delta
    return _split_leaf("split-win", contract, condition, script, delta, sign, preimage)


def sellback(
    contract: Contract,
    condition: WinCondition,
    market_maker_key: SecretKey,
    payout_preimage: bytes | Secret,
) -> Spend:
    """The market maker's spend of an output whose winner was paid outside the chain. Raises InvalidInput."""
    player = contract.parameters.players[_winner(contract, condition)]
    preimage = require_preimage(payout_preimage, player.payout_hash, "payout preimage")
    sign = _market_maker_signer(contract, market_maker_key)
    script = contract.winner_output(condition.player).sellback_script
    return _split_leaf("split-sellback", contract, condition, script, _SEQUENCE_AT_ONCE, sign, preimage)


def split_reclaim(contract: Contract, condition: WinCondition, market_maker_key: SecretKey) -> Spend:
    """The market maker's spend of an output that its winner left unclaimed. Raises InvalidInput."""
    sign = _market_maker_signer(contract, market_maker_key)
    script = contract.winner_output(_winner(contract, condition)).reclaim_script
    delay = reclaim_delay(contract.parameters)
    return _split_leaf("split-reclaim", contract, condition, script, delay, sign)


def outcome_reclaim(contract: Contract, outcome: Outcome, market_maker_key: SecretKey) -> Spend:
    """The market maker's spend of an outcome that no winner has split. Raises InvalidInput."""
    script = reclaim_script(contract.parameters)
    return Spend(
        "outcome-reclaim",
        contract.outcome_outpoint(outcome),
        contract.outcome_output(outcome),
        reclaim_delay(contract.parameters),
        _market_maker_signer(contract, market_maker_key),
        leaf=_opened(script, contract.outcome_taproot(outcome)),
    )


def split_close(
    contract: Contract, condition: WinCondition, market_maker_key: SecretKey, player_key: SecretKey
) -> Spend:
    """The market maker's key spend with the winner's key. Raises InvalidInput for a wrong key."""
    output = contract.winner_output(_winner(contract, condition))
    key_set = output.key_set.with_taproot_tweak(output.taproot.tree.hash)
    return Spend(
        "split-close",
        contract.split_outpoint(condition),
        contract.split_output(condition),
        _SEQUENCE_AT_ONCE,
        _joint_signer(key_set, [market_maker_key, player_key]),
    )


def outcome_close(
    contract: Contract, outcome: Outcome, market_maker_key: SecretKey, winner_keys: Sequence[SecretKey]
) -> Spend:
    """The market maker's key spend with the keys of all winners. Raises InvalidInput for a wrong or missing key."""
    tree = contract.outcome_taproot(outcome).tree
    key_set = contract.record(outcome).key_set.with_taproot_tweak(tree.hash)
    return Spend(
        "outcome-close",
        contract.outcome_outpoint(outcome),
        contract.outcome_output(outcome),
        _SEQUENCE_AT_ONCE,
        _joint_signer(key_set, [market_maker_key, *winner_keys]),
    )


def funding_close(contract: Contract, market_maker_key: SecretKey, player_keys: Sequence[SecretKey]) -> Spend:
    """The market maker's key spend with the keys of all players. Raises InvalidInput for a wrong or missing key."""
    return Spend(
        "funding-close",
        contract.outpoint,
        contract.funding_output,
        SEQUENCE_FINAL,
        _joint_signer(contract.funding_key_set, [market_maker_key, *player_keys]),
    )


def _winner(contract: Contract, condition: WinCondition) -> int:
    # Asking for the outpoint refuses players whom the outcome does not pay.
    contract.split_outpoint(condition)
    return condition.player


def _split_leaf(
    path: str,
    contract: Contract,
    condition: WinCondition,
    script: bytes,
    sequence: int,
    sign: Callable[[bytes], bytes],
    *preimages: bytes,
) -> Spend:
    return Spend(
        path,
        contract.split_outpoint(condition),
        contract.split_output(condition),
        sequence,
        sign,
        preimages,
        _opened(script, contract.winner_output(condition.player).taproot),
    )


def _opened(script: bytes, taproot: TaprootOutput) -> tuple[bytes, bytes]:
    return script, taproot.control_block(leaf_hash(script))


def _market_maker_signer(contract: Contract, key: SecretKey) -> Callable[[bytes], bytes]:
    return _leaf_signer(key, contract.parameters.market_maker, "market maker key")


def _leaf_signer(key: SecretKey, expected: bytes, what: str) -> Callable[[bytes], bytes]:
    if key.public_key != expected:
        raise InvalidInput(what, "is not the key in the contract", f"the secret of {expected.hex()}")

    def sign(message: bytes) -> bytes:
        return schnorr_sign(message, key)

    return sign


def _joint_signer(key_set: KeySet, keys: Sequence[SecretKey]) -> Callable[[bytes], bytes]:
    held = sorted(key.public_key for key in keys)
    if held != list(key_set.members):
        missing = [member.hex() for member in key_set.members if member not in held]
        wanted = f"the secret of {missing[0]}" if missing else "each key once"
        raise InvalidInput("keys", "are not the keys of this output", wanted)

    def sign(message: bytes) -> bytes:
        return SoloSigner(keys).sign([SigningItem(key_set, message)])[0]

    return sign
