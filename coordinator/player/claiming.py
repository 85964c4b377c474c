"""Claim a prize on chain alone: kit, player secret, ticket preimage, attestation, and an Esplora server."""

from __future__ import annotations

from uuid import UUID

from coordinator.player.http import ServerRefused, Service
from coordinator.player.wire.esplora import TransactionStatus
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.claim_kit.plan import ClaimDestination, ClaimStep, plan_claim
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.secp256k1 import SecretKey, lift_x
from coordinator_core.secret import Secret
from coordinator_core.transaction import pay_to_taproot, tweak_public_key
from coordinator_core.units import FeeRate

FEE_RATE = FeeRate(500)
"""Satoshi per 1,000 weight units for the last transaction; the earlier ones are presigned."""


class Claimant:
    """Broadcasts one transaction after the other. Raises NoPrize when the outcome pays this entry nothing."""

    def __init__(
        self, kit: ClaimKit, player: Secret, ticket_preimage: Secret, attestation: bytes | None, esplora: str
    ) -> None:
        key = entry_key(player, UUID(str(kit.entry_id)), kit.attempt)
        self.destination = own_script(key)
        self._plan = plan_claim(
            kit,
            attestation,
            ticket_preimage=ticket_preimage,
            entry_key=key,
            destination=ClaimDestination(self.destination, FEE_RATE),
        )
        self._esplora = Service("esplora", esplora, fault=Fault.NODE)
        self._left = list(self._plan.steps)
        self.blocks_to_wait = 0
        self.received = 0

    async def close(self) -> None:
        """Close all connections."""
        await self._esplora.close()

    async def step(self) -> str | None:
        """Broadcast the next transaction that is not known yet; its name, or None when all are out.

        `blocks_to_wait` then says how many blocks have to be mined until the one after it may confirm.
        """
        while self._left:
            step = self._left.pop(0)
            following = self._left[0].blocks if self._left else 1
            self.blocks_to_wait = max(1, following)
            if await self._known(step):
                continue
            txid = step.transaction.txid[::-1].hex()
            answer = await self._esplora.post_raw("/tx", step.transaction.serialize().hex().encode())
            if answer.strip() != txid.encode():
                raise VerificationFailed("esplora", "answered with another txid", fault=Fault.NODE)
            if not self._left:
                self.received = step.transaction.outputs[0].value
            return f"{step.step.value} {txid}"
        return None

    async def _known(self, step: ClaimStep) -> bool:
        """Another winner may have sent it: the outcome is everyone's, and so is the split."""
        try:
            status = await self._esplora.read(f"/tx/{step.transaction.txid[::-1].hex()}/status", TransactionStatus)
        except ServerRefused as error:
            if error.status == 404:
                return False
            raise
        return status.confirmed


def own_script(key: SecretKey) -> bytes:
    """Pay to the entry key itself, BIP86: the player needs no other key to spend it."""
    return pay_to_taproot(tweak_public_key(lift_x(key.x_only), b"")[1:])
