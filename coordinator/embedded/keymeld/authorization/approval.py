"""A participant's approval of one exact batch (keymeld section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coordinator.embedded.keymeld.authorization.batch import AuthorizedItem
from coordinator.embedded.keymeld.authorization.canonical import (
    Octets64,
    Unsigned,
    Uuid,
    authorization_digest,
    check_signature,
)
from coordinator_core.errors import InvalidInput

MAXIMUM_AGE_SECONDS = 300
MAXIMUM_AHEAD_SECONDS = 30


def is_fresh(timestamp: int, now: int) -> bool:
    """From 300 s before to 30 s after the checker's clock."""
    return now - MAXIMUM_AGE_SECONDS <= timestamp <= now + MAXIMUM_AHEAD_SECONDS


class ParticipantApproval(msgspec.Struct, frozen=True):
    """Signed by the participant's session auth key, as registered."""

    user_id: Uuid
    timestamp: Unsigned
    signature: Octets64

    def digest(self, keygen_id: str, signing_id: str, batch: Sequence[AuthorizedItem]) -> bytes:
        """What the participant signs."""
        payload = [self.user_id, keygen_id, signing_id, self.timestamp, batch]
        return authorization_digest("participant-batch-approval", payload)

    def verify(
        self,
        auth_public_key: bytes,
        keygen_id: str,
        signing_id: str,
        batch: Sequence[AuthorizedItem],
        now: int,
    ) -> None:
        """Raises InvalidInput when it is stale or early, InvalidSignature when it is not this batch or user."""
        if not is_fresh(self.timestamp, now):
            raise InvalidInput("approval.timestamp", "is outside its validity", "sign a fresh approval")
        digest = self.digest(keygen_id, signing_id, batch)
        check_signature(f"approval of {self.user_id}", self.signature, digest, auth_public_key)
