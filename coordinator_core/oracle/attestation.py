"""An attestation and the outcome that it opens."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.secp256k1 import generator_mul


class UnknownAttestation(VerificationFailed):
    """A scalar that opens no locking point of this contract: it decides nothing."""

    code = "oracle.attestation.unknown"


def attested_outcome(attestation: bytes, locking_points: Sequence[bytes]) -> int:
    """The index of the locking point that the attestation (a scalar, 32 bytes) opens: s G equals the point.

    Raises UnknownAttestation, at the oracle's fault, also for bytes that are no scalar.
    """
    try:
        point = generator_mul(attestation)
    except InvalidInput:
        raise UnknownAttestation("attestation", "is not a scalar from 1 to N-1", fault=Fault.ORACLE) from None
    matching = [index for index, locking_point in enumerate(locking_points) if locking_point == point]
    if len(matching) != 1:
        raise UnknownAttestation(
            "attestation", f"opens {len(matching)} locking points of this contract", fault=Fault.ORACLE
        )
    return matching[0]
