"""The keymeld gateway as the player reads it: enclave keys and batches come from it, never through the coordinator."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.player.http import ServerRefused, Service
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.units import UnixTime

MAX_ITEMS = 100


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
        self._service = Service("keymeld", url)

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def enclave(self, enclave_id: int) -> tuple[Enclave, UnixTime]:
        """An enclave, and the gateway's clock. Raises VerificationFailed for an answer that is none."""
        answer = await self._service.get_json(f"/api/v1/enclaves/{enclave_id}/public-key")
        try:
            key = Enclave(bytes.fromhex(answer["public_key"]), int(answer["key_epoch"]))
            return key, UnixTime(int(answer["timestamp"]))
        except (KeyError, TypeError, ValueError) as error:
            raise VerificationFailed("keymeld", "serves no enclave key", fault=Fault.SIGNER) from error

    async def batch(self, user: UserAccess, session_id: str, at: UnixTime) -> tuple[EncryptedItem, ...]:
        """The encrypted items of a signing session, read with the player's own proof. Raises NotSetUp."""
        path = f"/api/v1/signing/{session_id}/status/{user.user_id}"
        try:
            answer = await self._service.get_json(path, headers={"X-User-Signature": user.header(session_id, at)})
        except ServerRefused as error:
            if "not ready" in str(error).lower():
                raise NotSetUp("session", "is being set up", "ask again") from error
            raise
        items = answer.get("batch_items")
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            raise VerificationFailed("keymeld", "serves no batch", fault=Fault.SIGNER)
        return tuple(EncryptedItem.from_wire(item, f"batch_items[{i}]") for i, item in enumerate(items))
