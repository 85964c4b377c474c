"""What an enclave keeps of one keygen session, in memory only."""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator.embedded.keymeld.authorization.recipients import EnclaveRecipientAuthorization
from coordinator.embedded.keymeld.authorization.registration import RegistrationAuthorization
from coordinator.embedded.keymeld.authorization.tweak import (
    NoTweak,
    PlainTweak,
    TaprootTweak,
    TaprootWithMerkleRoot,
    UnspendableTaproot,
    XOnlyTweak,
)
from coordinator.embedded.keymeld.crypto.encrypted_data import SessionCipher
from coordinator_core.errors import InvalidInput, Misuse, Refused
from coordinator_core.musig2 import KeySet
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret


class KeygenSession:
    """Verified authorizations, the session secret, keys of this enclave's users, registrations of all users."""

    def __init__(
        self,
        manifest: SignedSessionManifest,
        recipients: EnclaveRecipientAuthorization,
        secret: Secret,
        cipher: SessionCipher,
        tweak: TaprootTweak,
    ) -> None:
        self.signed_manifest = manifest
        self.recipients = recipients
        self.secret = secret
        self.cipher = cipher
        self.tweak: TaprootTweak = tweak
        self.secret_keys: dict[str, SecretKey] = {}
        self.registrations: dict[str, RegistrationAuthorization] = {}
        self._subsets = {s.subset_id: s.participants for s in manifest.manifest.subset_definitions}

    @property
    def session_id(self) -> str:
        """The keygen session id."""
        return self.signed_manifest.manifest.keygen_session_id

    @property
    def coordinator(self) -> str:
        """The coordinator's user id, as the manifest names it."""
        return self.signed_manifest.manifest.coordinator_user_id

    def enclave_of(self, user_id: str) -> int:
        """The enclave that the creator assigned to a user."""
        return self.recipients.user_enclave_assignments[user_id]

    def add(self, registration: RegistrationAuthorization, secret_key: SecretKey | None = None) -> None:
        """Record a verified registration, with its key if this enclave holds it. Raises Refused for a second one."""
        user_id = registration.context.user_id
        if user_id in self.registrations:
            raise Refused("user_id", f"{user_id} is already registered", "register each user once")
        if any(registration.context.public_key == r.context.public_key for r in self.registrations.values()):
            raise Refused("public_key", "belongs to another participant", "give each participant its own key")
        self.registrations[user_id] = registration
        if secret_key is not None:
            self.secret_keys[user_id] = secret_key

    def require_complete(self) -> None:
        """Raises InvalidInput until every participant of the manifest is registered."""
        missing = self.signed_manifest.manifest.participant_verifiers.keys() - self.registrations.keys()
        if missing:
            raise InvalidInput("participants", f"{sorted(missing)[0]} is missing", "register all participants")

    def members(self, subset_id: str | None) -> list[str]:
        """Users of a subset, or all. Raises InvalidInput for an unknown subset, Refused without the coordinator."""
        if subset_id is None:
            return list(self.signed_manifest.manifest.participant_verifiers)
        if subset_id not in self._subsets:
            raise InvalidInput("subset_id", f"{subset_id} is unknown", "a subset of the manifest")
        if self.coordinator not in self._subsets[subset_id]:
            raise Refused("subset_id", f"{subset_id} lacks the coordinator", "subsets that sign contain it")
        return self._subsets[subset_id]

    def key_set(self, users: Iterable[str], tweak: TaprootTweak) -> KeySet:
        """The aggregate of users' keys under a tweak."""
        keys = [bytes(self.registrations[user].context.public_key) for user in users]
        return apply_tweak(KeySet.aggregate(keys, refuse_duplicates=True), tweak)

    def signing_key_set(self, subset_id: str | None, item_tweak: TaprootTweak) -> KeySet:
        """A full-group item uses the item's tweak only, a subset item the session's only (keymeld section 5)."""
        return self.key_set(self.members(subset_id), item_tweak if subset_id is None else self.tweak)

    def holders(self, subset_id: str | None) -> frozenset[int]:
        """The enclaves that hold keys of a subset."""
        return frozenset(self.enclave_of(user) for user in self.members(subset_id))

    def subset_ids(self) -> list[str]:
        """All subsets, in the manifest's order."""
        return list(self._subsets)

    def subset_members(self, subset_id: str) -> list[str]:
        """Users of a subset, whether or not it may sign."""
        if subset_id not in self._subsets:
            raise Misuse(f"subset {subset_id} is not of this session")
        return self._subsets[subset_id]

    def wipe(self) -> None:
        """Overwrite every secret."""
        self.secret.wipe()
        for key in self.secret_keys.values():
            key.wipe()


def apply_tweak(key_set: KeySet, tweak: TaprootTweak) -> KeySet:
    """The key set under a wire tweak. Raises InvalidInput for a scalar beyond the group order."""
    match tweak:
        case NoTweak():
            return key_set
        case UnspendableTaproot():
            return key_set.with_taproot_tweak(b"")
        case TaprootWithMerkleRoot():
            return key_set.with_taproot_tweak(bytes(tweak.merkle_root))
        case PlainTweak():
            return key_set.with_tweak(bytes(tweak.tweak), x_only=False)
        case XOnlyTweak():
            return key_set.with_tweak(bytes(tweak.tweak), x_only=True)
