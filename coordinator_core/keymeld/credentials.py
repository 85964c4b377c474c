"""The coordinator's own secrets of one keygen session, made and stored before the first call."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator_core.errors import InvalidInput
from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.derivation import session_auth_key
from coordinator_core.keymeld.encrypted_data import Context
from coordinator_core.keymeld.manifest import SessionManifest, SignedManifest, define_subsets
from coordinator_core.keymeld.plan import KEYGEN_TIMEOUT, SigningPlan, fresh_id
from coordinator_core.keymeld.tweak import encrypt_no_tweak
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret


class SessionCredentials:
    """Session secret, creator key (which also signs batches) and the coordinator's own slot key."""

    def __init__(self, session_secret: Secret, creator_key: SecretKey, slot_key: SecretKey) -> None:
        self.session_secret = session_secret
        self.creator_key = creator_key
        self.slot_key = slot_key

    @classmethod
    def generate(cls) -> SessionCredentials:
        """Fresh ones, for one session only."""
        return cls(Secret.random(32), SecretKey.generate(), SecretKey.generate())

    @classmethod
    def from_secret(cls, stored: Secret) -> SessionCredentials:
        """From what `to_secret` gave. Raises InvalidInput."""
        value = stored.reveal()
        if len(value) != 96:
            raise InvalidInput("session credentials", f"have {len(value)} bytes", "exactly 96")
        return cls(
            Secret(value[:32]),
            SecretKey.from_bytes(value[32:64], "session credentials"),
            SecretKey.from_bytes(value[64:], "session credentials"),
        )

    def to_secret(self) -> Secret:
        """96 bytes for the secret store."""
        return Secret(self.session_secret.reveal() + self.creator_key.reveal() + self.slot_key.reveal())

    def access(self, keygen_session_id: str) -> SessionAccess:
        """Reading rights of a session made with these credentials."""
        return SessionAccess(keygen_session_id, self.session_secret)

    def user(self, keygen_session_id: str, user_id: str, participant_key: SecretKey) -> UserAccess:
        """The coordinator as a participant; its key is the market maker key."""
        return UserAccess(self.access(keygen_session_id), user_id, participant_key)

    def sign_manifest(
        self,
        *,
        keygen_session_id: str,
        coordinator_user_id: str,
        slot_keys: Mapping[str, bytes],
        places: int,
    ) -> SignedManifest:
        """The manifest of an attempt. `slot_keys` are the players' slot public keys by entry id.

        Random inside (the encrypted tweak, subset ids): store it before it is sent. Raises InvalidInput,
        Refused.
        """
        players = sorted(slot_keys)
        plan = SigningPlan.of(len(players), places)
        groups = plan.groups(coordinator_user_id, players)
        manifest = SessionManifest(
            keygen_session_id=keygen_session_id,
            coordinator_user_id=coordinator_user_id,
            creator_pubkey=self.creator_key.public_key,
            signing_pubkey=self.creator_key.public_key,
            session_public_key=session_auth_key(self.session_secret).public_key,
            participant_verifiers={**slot_keys, coordinator_user_id: self.slot_key.public_key},
            timeout_secs=KEYGEN_TIMEOUT,
            max_signing_sessions=plan.max_signing_sessions,
            encrypted_taproot_tweak=encrypt_no_tweak(self.session_secret, Context.TAPROOT_TWEAK),
            subset_definitions=define_subsets([fresh_id() for _ in groups], groups),
        )
        return SignedManifest.sign(manifest, self.creator_key)

    def __repr__(self) -> str:
        return "SessionCredentials(***)"
