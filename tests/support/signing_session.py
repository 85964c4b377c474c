"""A signing session as the engine opened it: the first player's registration and the batch that it approves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem, PlainItem
from coordinator_core.keymeld.registration import RegistrationAuthorization, RegistrationContext
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds

KEYGEN, ONE, TWO = (f"01926f3a-0000-7000-8000-0000000001{n:02d}" for n in range(3))


def user_of(edge: Any) -> UserAccess:
    """The first player as a participant of the keygen session."""
    return UserAccess(SessionAccess(KEYGEN, Secret(bytes([5]) * 32)), edge.ids[0], edge.keys[0])


def registration_of(user: UserAccess, ciphertext: bytes) -> str:
    """What the first player registered in the attempt."""
    key = user.auth_key.public_key
    context = RegistrationContext(KEYGEN, bytes(32), user.user_id, 1, 7, key, key, True)
    return RegistrationAuthorization.sign(context, ciphertext, user.auth_key).to_json()


async def pin_batch(edge: Any, lane: str) -> Sequence[EncryptedItem]:
    """One item, in the first signing session, as it was opened."""
    plain = PlainItem("01926f3a-0000-7000-8000-00000000000c", bytes(32), None, None)
    items = [EncryptedItem.encrypt(plain, Secret(bytes([5]) * 32))]
    batch = SignedBatch.sign(KEYGEN, ONE, Seconds(60), items, edge.keys[1])
    async with edge.store.write() as tx:
        await tx.pin(f"{lane}/signing", ONE, batch.to_json().encode())
    return items


def approvals(edge: Any, user: UserAccess, items: Sequence[EncryptedItem], session: str) -> bytes:
    """The body that hands over the player's approval of one session."""
    approval = ParticipantApproval.sign(user, session, items, edge.now)
    header = user.header(session, edge.now)
    one = {"signing_session_id": session, "approval": approval.payload(), "x_user_signature": header}
    return json.dumps({"entry_id": edge.ids[0], "attempt": 1, "approvals": [one]}).encode()
