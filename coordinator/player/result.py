"""What an entry has coming, by the oracle's own word: the coordinator's is not enough to sell a prize."""

from __future__ import annotations

from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.oracle import OracleReader
from coordinator.player.prizes import Due, prize_due
from coordinator_core.claim_kit import ClaimKit
from coordinator_core.units import UnixTime


async def due_by_oracle(kit: ClaimKit, oracle: OracleReader, now: UnixTime) -> Due:
    """The prize by the attestation; by the expiry's equal shares once it has passed without one.

    An oracle that is gone for ever is what the expiry is for, so its silence counts as no attestation then, and only
    then: before the expiry it would let the coordinator buy a won prize for an equal share.
    Raises NoAnswer while the result is open, WrongAnswer, ServerRefused, UnknownAttestation.
    """
    expired = now >= kit.terms.contract.expiry
    try:
        attestation = await oracle.attestation(str(kit.terms.oracle.event_ids[kit.attempt]))
    except (NoAnswer, ServerRefused):
        if not expired:
            raise
        attestation = None
    if attestation is None and not expired:
        raise NoAnswer("oracle", "has not attested, and the contract has not expired")
    return prize_due(kit, attestation)
