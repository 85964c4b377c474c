"""What the gateway may ask of an enclave, and what it gets back. All of it may be stored: secrets are sealed."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.authorization.batch import AuthorizedItem, SigningAuthorization
from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest, SubsetDefinition
from coordinator.embedded.keymeld.authorization.recipients import EnclaveRecipientAuthorization
from coordinator.embedded.keymeld.authorization.registration import RegistrationAuthorization


class InitKeygen(msgspec.Struct, frozen=True):
    """Open a session. `coordinator_user_id` is set exactly for the coordinator's enclave."""

    manifest: SignedSessionManifest
    recipients: EnclaveRecipientAuthorization
    encrypted_session_secret: str
    coordinator_user_id: str | None
    expected_participants: list[str]
    timeout_secs: int
    encrypted_taproot_tweak: str
    subset_definitions: list[SubsetDefinition]
    enclave_public_keys: dict[int, str]


class SealedRegistration(msgspec.Struct, frozen=True):
    """A registration as the gateway keeps it."""

    authorization: RegistrationAuthorization
    encrypted_private_key: str


class KeygenResult(msgspec.Struct, frozen=True):
    """Encrypted under the session secret: the aggregates and the signed roster."""

    encrypted_aggregate: str
    encrypted_subset_aggregates: dict[str, str]
    encrypted_roster: str


class InitSigning(msgspec.Struct, frozen=True):
    """Check a batch and its approvals and make nonces."""

    keygen_session_id: str
    signing_session_id: str
    timeout_secs: int
    authorization: SigningAuthorization
    batch: list[AuthorizedItem]
    approvals: list[ParticipantApproval]


class ItemResult(msgspec.Struct, frozen=True):
    """The answer for one item: exactly one of the two is set, or an error."""

    batch_item_id: str
    signature: str | None = None
    adaptor_signatures: str | None = None
    error: str | None = None
