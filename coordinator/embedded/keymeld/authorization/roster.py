"""The roster of a completed keygen, signed by the coordinator's enclave (keymeld section 3.8)."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    Octets32,
    Octets33,
    Octets64,
    Uuid,
    authorization_digest,
    sorted_map,
)
from coordinator.embedded.keymeld.authorization.manifest import SubsetDefinition
from coordinator.embedded.keymeld.authorization.registration import RegistrationAuthorization
from coordinator.embedded.keymeld.authorization.tweak import TaprootTweak

_MAPS = ("participants", "registrations", "subset_aggregate_keys")


class ParticipantRoster(msgspec.Struct, frozen=True):
    """Who takes part, with which key, and the aggregates (under the session's tweak)."""

    keygen_session_id: Uuid
    manifest_hash: Octets32
    participants: dict[Uuid, Octets33]
    registrations: dict[Uuid, RegistrationAuthorization]
    aggregate_public_key: Octets33
    subset_aggregate_keys: dict[Uuid, Octets33]
    subset_definitions: list[SubsetDefinition]
    taproot_tweak: TaprootTweak

    def __post_init__(self) -> None:
        for name in _MAPS:
            msgspec.structs.force_setattr(self, name, sorted_map(getattr(self, name)))

    def digest(self) -> bytes:
        """What the enclave signs."""
        return authorization_digest("participant-roster", self)


class SignedParticipantRoster(msgspec.Struct, frozen=True):
    """The roster as clients decrypt it."""

    roster: ParticipantRoster
    signature: Octets64
    enclave_public_key: Octets33
