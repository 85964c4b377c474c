"""Nonce point and locking points of an event, recomputed from the oracle's key (dlctix section 1).

R' + e D' with R' and D' the even-y points of nonce point and key, e the BIP340 challenge of the
tagged message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.oracle.outcomes import messages, outcome_count
from coordinator_core.secp256k1 import (
    N,
    lift_x,
    parse_point,
    point_add,
    point_mul,
    scalar_to_bytes,
    tagged_hash,
)

ATTESTATION_TAG: Final = "DLC/oracle/attestation/v0"


def challenge(oracle_key: bytes, nonce_point: bytes, message: bytes) -> bytes:
    """e of a message, 32 bytes: BIP340 challenge of its tagged hash under nonce and key (33 bytes each)."""
    digest = tagged_hash(ATTESTATION_TAG, message)
    value = int.from_bytes(tagged_hash("BIP0340/challenge", nonce_point[1:] + oracle_key[1:] + digest), "big")
    return scalar_to_bytes(value % N)


def locking_point(oracle_key: bytes, nonce_point: bytes, message: bytes) -> bytes:
    """The point that an attestation of `message` opens, 33 bytes. Raises InvalidInput."""
    parse_point(oracle_key, field="oracle key")
    parse_point(nonce_point, field="nonce point")
    key, nonce = lift_x(oracle_key[1:]), lift_x(nonce_point[1:])
    return point_add([nonce, point_mul(key, challenge(oracle_key, nonce_point, message))])


def locking_points(oracle_key: bytes, nonce_point: bytes, entries: int, places: int) -> tuple[bytes, ...]:
    """The point of every outcome by index, refund-all last. Raises InvalidInput."""
    outcome_count(entries, places)
    return tuple(locking_point(oracle_key, nonce_point, message) for message in messages(entries, places))


def verify_locking_points(
    announced: Sequence[bytes], oracle_key: bytes, nonce_point: bytes, entries: int, places: int
) -> tuple[bytes, ...]:
    """The announced points, once each equals the recomputed one.

    Raises VerificationFailed at the oracle's fault for another number or another point, InvalidInput
    for a key or nonce that is no point.
    """
    wanted = outcome_count(entries, places)
    if len(announced) != wanted:
        raise VerificationFailed("locking points", f"{len(announced)} for {wanted} outcomes", fault=Fault.ORACLE)
    try:
        computed = locking_points(oracle_key, nonce_point, entries, places)
    except InvalidInput as problem:
        problem.fault = Fault.ORACLE
        raise
    for index, (given, own) in enumerate(zip(announced, computed, strict=True)):
        if given != own:
            raise VerificationFailed(f"locking points[{index}]", "is not that of its outcome", fault=Fault.ORACLE)
    return computed
