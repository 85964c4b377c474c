"""Requests and answers of the HTTP calls (keymeld section 4). Byte strings are arrays of integers where marked."""

from __future__ import annotations

from typing import Any

import msgspec

from coordinator.embedded.keymeld.authorization.batch import AuthorizedItem, SigningAuthorization
from coordinator.embedded.keymeld.authorization.canonical import Octets32, Octets33, Unsigned, Uuid
from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest, SubsetDefinition
from coordinator.embedded.keymeld.authorization.recipients import SessionInitialization
from coordinator.embedded.keymeld.authorization.registration import RegistrationAuthorization
from coordinator.embedded.keymeld.enclave.commands import ItemResult


class ReserveRequest(msgspec.Struct, frozen=True):
    """POST /keygen/reserve."""

    authorization_manifest: SignedSessionManifest
    keygen_session_id: Uuid
    coordinator_user_id: Uuid
    expected_participants: list[Uuid]
    timeout_secs: Unsigned
    encrypted_taproot_tweak: str
    max_signing_sessions: Unsigned | None = None
    subset_definitions: list[SubsetDefinition] = []


InitializeRequest = SessionInitialization


class RegisterRequest(msgspec.Struct, frozen=True):
    """POST /keygen/{id}/participants."""

    registration_authorization: RegistrationAuthorization
    keygen_session_id: Uuid
    user_id: Uuid
    encrypted_private_key: str
    public_key: Octets33
    encrypted_session_data: str
    enclave_public_key: str
    enclave_key_epoch: Unsigned
    auth_pubkey: Octets33
    require_signing_approval: bool = False


class RegularMode(msgspec.Struct, frozen=True, tag="regular"):
    """A BIP340 signature."""

    encrypted_message: str


class AdaptorMode(msgspec.Struct, frozen=True, tag="adaptor"):
    """Adaptor signatures."""

    encrypted_message: str
    encrypted_adaptor_configs: str


class BatchItem(msgspec.Struct, frozen=True):
    """One item as sent and as the status returns it."""

    batch_item_id: Uuid
    message_hash: Octets32
    signing_mode: RegularMode | AdaptorMode
    encrypted_taproot_tweak: str
    subset_id: Uuid | None = None

    def authorized(self) -> AuthorizedItem:
        """The part that signatures cover."""
        mode = self.signing_mode
        configs = mode.encrypted_adaptor_configs if isinstance(mode, AdaptorMode) else None
        return AuthorizedItem(
            self.batch_item_id, mode.encrypted_message, configs, self.encrypted_taproot_tweak, self.subset_id
        )


class SigningRequest(msgspec.Struct, frozen=True):
    """POST /signing."""

    signing_authorization: SigningAuthorization
    signing_session_id: Uuid
    keygen_session_id: Uuid
    timeout_secs: Unsigned
    batch_items: list[BatchItem]

    def batch(self) -> list[AuthorizedItem]:
        """The items as signatures cover them, in request order."""
        return [item.authorized() for item in self.batch_items]


Answer = dict[str, Any]
"""A JSON answer; structs inside are encoded by msgspec."""

__all__ = [
    "AdaptorMode",
    "Answer",
    "BatchItem",
    "InitializeRequest",
    "ItemResult",
    "RegisterRequest",
    "RegularMode",
    "ReserveRequest",
    "SigningRequest",
]
