"""The session manifest, signed by its creator (keymeld section 3.1)."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    Octets,
    Octets32,
    Octets64,
    PublicKeyOctets,
    Unsigned,
    Uuid,
    authorization_digest,
    canonical_point,
    check_signature,
    sorted_map,
)
from coordinator_core.errors import InvalidInput, Refused


class SubsetDefinition(msgspec.Struct, frozen=True):
    """A named group of participants that signs without the others."""

    subset_id: Uuid
    participants: list[Uuid]


class DepositScope(msgspec.Struct, frozen=True):
    """A registration made before the player set was known (keymeld section 6); decoded to be refused."""

    deposit_session_id: Uuid
    deposit_digest: Octets32
    evidence: Octets


class SessionManifest(msgspec.Struct, frozen=True):
    """What the creator fixed for one keygen session."""

    keygen_session_id: Uuid
    coordinator_user_id: Uuid
    creator_pubkey: PublicKeyOctets
    signing_pubkey: PublicKeyOctets
    session_public_key: PublicKeyOctets
    participant_verifiers: dict[Uuid, PublicKeyOctets]
    timeout_secs: Unsigned
    max_signing_sessions: Unsigned | None
    encrypted_taproot_tweak: str
    subset_definitions: list[SubsetDefinition]
    deposit_scope: DepositScope | msgspec.UnsetType | None = msgspec.UNSET

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "participant_verifiers", sorted_map(self.participant_verifiers))
        if self.deposit_scope is None:
            msgspec.structs.force_setattr(self, "deposit_scope", msgspec.UNSET)

    @property
    def creator_key(self) -> bytes:
        """33 bytes. Raises InvalidInput."""
        return canonical_point(self.creator_pubkey, "manifest.creator_pubkey")

    @property
    def signing_key(self) -> bytes:
        """33 bytes. Raises InvalidInput."""
        return canonical_point(self.signing_pubkey, "manifest.signing_pubkey")

    @property
    def session_key(self) -> bytes:
        """33 bytes. Raises InvalidInput."""
        return canonical_point(self.session_public_key, "manifest.session_public_key")

    def slot_key(self, user_id: str) -> bytes:
        """The credential that may register a user, 33 bytes. Raises InvalidInput."""
        field = f"manifest.participant_verifiers.{user_id}"
        if user_id not in self.participant_verifiers:
            raise InvalidInput(field, "is not a participant", "one of the manifest's users")
        return canonical_point(self.participant_verifiers[user_id], field)


class SignedSessionManifest(msgspec.Struct, frozen=True):
    """A manifest and its creator's signature; both together are hashed into everything that follows."""

    manifest: SessionManifest
    signature: Octets64

    def digest(self) -> bytes:
        """What the creator signs."""
        return authorization_digest("session-manifest", self.manifest)

    def hash(self) -> bytes:
        """The manifest hash; it covers the signature too."""
        return authorization_digest("signed-session-manifest", self)

    def verify(self) -> None:
        """Every rule of section 3.1. Raises InvalidInput or InvalidSignature."""
        if self.manifest.deposit_scope is not msgspec.UNSET:
            raise Refused("manifest.deposit_scope", "deposit scopes are not served", "leave it out")
        _check_keys(self.manifest)
        _check_subsets(self.manifest)
        check_signature("manifest signature", self.signature, self.digest(), self.manifest.creator_key)


def _check_keys(manifest: SessionManifest) -> None:
    if manifest.coordinator_user_id not in manifest.participant_verifiers:
        raise InvalidInput("manifest.coordinator_user_id", "is not a participant", "give it a slot key")
    if manifest.session_key in (manifest.creator_key, manifest.signing_key):
        raise InvalidInput("manifest.session_public_key", "is also an authority's key", "use a key of its own")
    taken = {manifest.creator_key, manifest.signing_key, manifest.session_key}
    for user_id in manifest.participant_verifiers:
        key = manifest.slot_key(user_id)
        if key in taken:
            field = f"manifest.participant_verifiers.{user_id}"
            raise InvalidInput(field, "is used twice", "give each slot a key of its own")
        taken.add(key)


def _check_subsets(manifest: SessionManifest) -> None:
    ids = [subset.subset_id for subset in manifest.subset_definitions]
    if len(set(ids)) != len(ids):
        raise InvalidInput("manifest.subset_definitions", "a subset id occurs twice", "give each its own id")
    for index, subset in enumerate(manifest.subset_definitions):
        field = f"manifest.subset_definitions[{index}].participants"
        if not subset.participants:
            raise InvalidInput(field, "is empty", "name its members")
        if len(set(subset.participants)) != len(subset.participants):
            raise InvalidInput(field, "a member occurs twice", "name each once")
        if not manifest.participant_verifiers.keys() >= set(subset.participants):
            raise InvalidInput(field, "a member is not a participant", "name participants of the session")
