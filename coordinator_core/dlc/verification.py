"""Checks of aggregated signatures against a contract that was rebuilt here (dlctix section 6).

A market maker needs the complete set before funding is broadcast; a player needs the signatures that it can claim
with, before its ticket is paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NoReturn

from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, SigningSlot, WinCondition, label
from coordinator_core.dlc.signatures import ContractSignatures
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.musig2 import SigningItem, verify_batch


class MissingSignature(VerificationFailed):
    """A signature that is needed is not there."""

    code = "dlc.missing_signature"


class UnexpectedSignature(VerificationFailed):
    """There is a signature that the contract has no place for."""

    code = "dlc.unexpected_signature"


def verify_signatures(contract: Contract, signatures: ContractSignatures, *, threads: int = 1) -> None:
    """Check that every signature of the contract is there and valid, and that there are no others.

    Raises MissingSignature, UnexpectedSignature, or InvalidSignature naming the first bad one; its index is the
    place among `contract.slots()`.
    """
    wins = [(outcome, player) for outcome, weights in contract.parameters.outcome_payouts.items() for player in weights]
    if tuple(signatures.by_outcome) != contract.outcomes or list(signatures.by_win_condition) != wins:
        _raise_difference(contract, signatures)
    given = (*signatures.by_outcome.values(), *signatures.by_win_condition.values())
    _verify(contract.slots(), contract.signing_items(), given, threads)


def verify_for_player(contract: Contract, signatures: ContractSignatures, player: int) -> None:
    """Check the signatures a player needs to be paid; others may be there and are not looked at.

    A player whom no outcome pays needs none. Raises InvalidInput for an unknown player, MissingSignature or
    InvalidSignature naming the first bad one.
    """
    _require_player(contract, player)
    slots = list(contract.claimable_slots(player))
    given = [_require(signatures, slot) for slot in slots]
    _verify(slots, [contract.item(slot) for slot in slots], given, 1)


def prune(contract: Contract, signatures: ContractSignatures, player: int) -> ContractSignatures:
    """The signatures a player needs to be paid, unverified. Raises InvalidInput or MissingSignature."""
    _require_player(contract, player)
    return _in_slots({slot: _require(signatures, slot) for slot in contract.claimable_slots(player)})


def assemble(contract: Contract, signatures: Sequence[bytes]) -> ContractSignatures:
    """Name signatures that come in the order of `contract.signing_items()`, unverified. Raises InvalidInput."""
    slots = list(contract.slots())
    if len(slots) != len(signatures):
        raise InvalidInput("signatures", f"are {len(signatures)}", f"the contract has {len(slots)}")
    return _in_slots(dict(zip(slots, signatures, strict=True)))


def _in_slots(signatures: dict[SigningSlot, bytes]) -> ContractSignatures:
    by_outcome: dict[Outcome, bytes] = {}
    by_win_condition: dict[WinCondition, bytes] = {}
    for slot, signature in signatures.items():
        if isinstance(slot, WinCondition):
            by_win_condition[slot] = signature
        else:
            by_outcome[slot] = signature
    return ContractSignatures(by_outcome, by_win_condition)


def _verify(slots: Iterable[SigningSlot], items: Sequence[SigningItem], given: Sequence[bytes], threads: int) -> None:
    try:
        verify_batch(items, given, threads=threads)
    except InvalidSignature as error:
        if error.index is None:
            raise
        what = _what(next(islice(slots, error.index, None)))
        raise InvalidSignature(what, error.reason, index=error.index, fault=Fault.SIGNER) from None


def _raise_difference(contract: Contract, signatures: ContractSignatures) -> NoReturn:
    known = set(contract.slots())
    for slot in (*signatures.by_outcome, *signatures.by_win_condition):
        if slot not in known:
            raise UnexpectedSignature(_what(slot), "the contract has no such signature", fault=Fault.SIGNER)
    missing = next(slot for slot in contract.slots() if signatures.get(slot) is None)
    raise MissingSignature(_what(missing), "is missing", fault=Fault.SIGNER)


def _require(signatures: ContractSignatures, slot: SigningSlot) -> bytes:
    signature = signatures.get(slot)
    if signature is None:
        raise MissingSignature(_what(slot), "is missing", fault=Fault.SIGNER)
    return signature


def _require_player(contract: Contract, player: int) -> None:
    contract.winner_output(player)


def _what(slot: SigningSlot) -> str:
    if isinstance(slot, WinCondition):
        return f"split signature {label(slot)}"
    return "expiry signature" if slot == EXPIRY else f"outcome signature {label(slot)}"
