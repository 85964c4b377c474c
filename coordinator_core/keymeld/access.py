"""Who may read a session: holders of the session secret, and users with the key of their registration."""

from __future__ import annotations

from functools import cached_property

from coordinator_core.keymeld.derivation import session_auth_key, user_auth_key
from coordinator_core.keymeld.members import as_uuid
from coordinator_core.keymeld.request_auth import session_scope, user_scope
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime


class SessionAccess:
    """The session secret of one keygen session: reads status and results, signs nothing.

    Raises InvalidInput.
    """

    def __init__(self, keygen_session_id: str, session_secret: Secret) -> None:
        self.keygen_session_id = as_uuid(keygen_session_id, "keygen_session_id")
        self.session_secret = session_secret

    @cached_property
    def _key(self) -> SecretKey:
        return session_auth_key(self.session_secret)

    @property
    def public_key(self) -> bytes:
        """The manifest's session_public_key, 33 bytes."""
        return self._key.public_key

    def header(self, at: UnixTime) -> str:
        """A fresh X-Session-Signature, dated by the gateway's clock."""
        return session_scope(self.keygen_session_id).header(self._key, at)


class UserAccess:
    """A participant's own key in one keygen session, beside the session secret. Raises InvalidInput."""

    def __init__(self, session: SessionAccess, user_id: str, participant_key: SecretKey) -> None:
        self.session = session
        self.user_id = as_uuid(user_id, "user_id")
        self.auth_key = user_auth_key(participant_key, session.keygen_session_id)

    def header(self, signing_session_id: str, at: UnixTime) -> str:
        """A fresh X-User-Signature for one signing session, dated by the gateway's clock."""
        return user_scope(signing_session_id, self.user_id).header(self.auth_key, at)
