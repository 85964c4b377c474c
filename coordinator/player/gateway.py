"""The keymeld gateway as the player reads it: enclave keys and batches come from it, never through the coordinator."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.player.answers import received_from
from coordinator.player.http import ServerRefused, Service
from coordinator.player.wire.keymeld import PublicKey, SigningStatus
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.units import UnixTime


@dataclass(frozen=True, slots=True)
class Enclave:
    """An enclave's present key (33 bytes) and epoch."""

    public_key: bytes
    epoch: int


class NotSetUp(InvalidInput):
    """A signing session is not readable yet."""

    code = "player.session_not_set_up"


class Gateway:
    """Reads only; approvals go through the coordinator, which forwards them together."""

    def __init__(self, url: str) -> None:
        self._service = Service("keymeld", url, fault=Fault.SIGNER)

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def enclave(self, enclave_id: int) -> tuple[Enclave, UnixTime]:
        """An enclave, and the gateway's clock. Raises WrongAnswer."""
        answer = await self._service.read(f"/api/v1/enclaves/{enclave_id}/public-key", PublicKey)
        return Enclave(bytes.fromhex(answer.public_key), answer.key_epoch), answer.timestamp

    async def batch(self, user: UserAccess, session_id: str, at: UnixTime) -> tuple[EncryptedItem, ...]:
        """The encrypted items of a signing session, read with the player's own proof.

        Raises NotSetUp, WrongAnswer, and InvalidInput for an item of another form, at the signer's fault.
        """
        path = f"/api/v1/signing/{session_id}/status/{user.user_id}"
        try:
            answer = await self._service.read(
                path, SigningStatus, headers=lambda: {"X-User-Signature": user.header(session_id, at)}
            )
        except ServerRefused as error:
            if "not ready" in str(error).lower():
                raise NotSetUp("session", "is being set up", "ask again") from error
            raise
        with received_from(Fault.SIGNER):
            return tuple(
                EncryptedItem.from_wire(item, f"session {session_id}.batch_items[{i}]")
                for i, item in enumerate(answer.batch_items)
            )
