"""A participant's approval of one batch: signed over exactly the ciphertexts that were read.

Source: keymeld section 3.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.batch_item import EncryptedItem, batch_payload
from coordinator_core.keymeld.canonical import (
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.members import Members, decode_json
from coordinator_core.keymeld.registration import RegistrationContext
from coordinator_core.keymeld.request_auth import check_age, user_scope
from coordinator_core.units import Seconds, UnixTime

APPROVAL_DOMAIN: Final = "participant-batch-approval"
FORWARDING_AGE: Final = Seconds(120)
"""How old an approval may be when the coordinator forwards it; the gateway's own limit is 300 s."""


class ParticipantApproval(Struct, frozen=True):
    """The body of POST /signing/{id}/approve/{user}."""

    user_id: str
    timestamp: UnixTime
    signature: bytes

    @classmethod
    def sign(
        cls, user: UserAccess, signing_session_id: str, items: Sequence[EncryptedItem], timestamp: UnixTime
    ) -> ParticipantApproval:
        """Approve a batch that was compared item by item; `timestamp` by the gateway's clock."""
        payload = _payload(user.user_id, user.session.keygen_session_id, signing_session_id, timestamp, items)
        return cls(user.user_id, timestamp, sign_authorization(APPROVAL_DOMAIN, payload, user.auth_key))

    @classmethod
    def from_json(cls, text: str | bytes) -> ParticipantApproval:
        """Read one. Raises InvalidInput; the signature is `verify`'s matter."""
        return cls.from_value(decode_json(text, "approval"))

    @classmethod
    def from_value(cls, value: object, field: str = "approval") -> ParticipantApproval:
        """As from_json, from decoded JSON."""
        members = Members(value, field, ("user_id", "timestamp", "signature"))
        return cls(members.uuid("user_id"), UnixTime(members.integer("timestamp")), members.octets("signature", 64))

    def verify(
        self,
        *,
        keygen_session_id: str,
        signing_session_id: str,
        items: Sequence[EncryptedItem],
        auth_public_key: bytes,
    ) -> None:
        """Raises InvalidSignature (fault: player) unless the registered auth key approved these items."""
        payload = _payload(self.user_id, keygen_session_id, signing_session_id, self.timestamp, items)
        verify_authorization(APPROVAL_DOMAIN, payload, self.signature, auth_public_key, fault=Fault.PLAYER)

    def check_age(self, now: UnixTime, *, max_age: Seconds = FORWARDING_AGE) -> None:
        """Raises Refused when older than `max_age` or more than 30 s ahead."""
        check_age("approval", self.timestamp, now, max_age)

    def payload(self) -> dict[str, object]:
        """The request body."""
        return {
            "user_id": self.user_id,
            "timestamp": self.timestamp,
            "signature": integers(self.signature),
        }

    def to_json(self) -> str:
        """The wire form; from_json gives an equal value."""
        return canonical_json(self.payload()).decode()


def accept_approval(
    approval: ParticipantApproval,
    header: str,
    *,
    registration: RegistrationContext,
    signing_session_id: str,
    items: Sequence[EncryptedItem],
    now: UnixTime,
) -> None:
    """The coordinator's checks of an approval and its X-User-Signature before both are forwarded.

    `registration` is the player's own in this session, `now` the gateway's clock; both may be at most 120 s old.
    Raises InvalidInput, Refused when stale, InvalidSignature, all the player's fault.
    """
    if approval.user_id != registration.user_id:
        raise InvalidInput("approval.user_id", "is another player", fault=Fault.PLAYER)
    approval.check_age(now)
    approval.verify(
        keygen_session_id=registration.keygen_session_id,
        signing_session_id=signing_session_id,
        items=items,
        auth_public_key=registration.auth_pubkey,
    )
    proof = user_scope(signing_session_id, registration.user_id).verify(header, registration.auth_pubkey)
    proof.check_age(now, max_age=FORWARDING_AGE)


def _payload(
    user_id: str,
    keygen_session_id: str,
    signing_session_id: str,
    timestamp: UnixTime,
    items: Sequence[EncryptedItem],
) -> list[object]:
    return [user_id, keygen_session_id, signing_session_id, timestamp, batch_payload(items)]
