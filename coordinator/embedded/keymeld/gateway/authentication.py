"""X-Session-Signature and X-User-Signature: parsing, digest, time window (keymeld section 2.2)."""

from __future__ import annotations

import re
from typing import NamedTuple

from coordinator.embedded.keymeld.authorization.canonical import length
from coordinator.embedded.keymeld.errors import PlainTextError, Unauthorized
from coordinator.embedded.keymeld.gateway.replay import ReplayTable
from coordinator.embedded.keymeld.limits import HEADER_MAXIMUM_AGE, HEADER_MAXIMUM_AHEAD
from coordinator_core.secp256k1 import ecdsa_verify, sha256

SESSION_DOMAIN = "keymeld-http-session-auth-v1"
USER_DOMAIN = "keymeld-http-user-auth-v1"

_HEADER = re.compile(r"v1:(0|[1-9][0-9]{0,15}):([0-9a-f]{32}):([0-9a-f]{128})")


class SignatureHeader(NamedTuple):
    """A header that has the shape v1:<unix seconds>:<32 hex nonce>:<128 hex signature>."""

    timestamp: int
    nonce: bytes
    signature: bytes


def parse_header(name: str, value: str | None) -> SignatureHeader:
    """Raises PlainTextError (400) when it is missing or of another shape, the earlier protocol's included."""
    if value is None:
        raise PlainTextError(400, f"Header of type `{name}` was missing")
    match = _HEADER.fullmatch(value)
    if match is None:
        raise PlainTextError(400, f"invalid HTTP header ({name})")
    return SignatureHeader(int(match[1]), bytes.fromhex(match[2]), bytes.fromhex(match[3]))


def header_digest(domain: str, scope: str, user: str, header: SignatureHeader) -> bytes:
    """What a header's key signs. The user is empty for session headers."""
    parts = b"".join(length(text.encode()) + text.encode() for text in (domain, scope, user))
    return sha256(parts + header.timestamp.to_bytes(8, "big") + header.nonce)


def replay_key(public_key: bytes, digest: bytes) -> str:
    """What is claimed once a header has verified."""
    return sha256(b"keymeld-http-replay-v1" + public_key + digest).hex()


class HeaderAuthenticator:
    """Verifies a header, then claims it, so that each header serves once."""

    def __init__(self, replays: ReplayTable) -> None:
        self._replays = replays

    def session(self, header: SignatureHeader, keygen_session_id: str, session_key: bytes, now: int) -> None:
        """X-Session-Signature by the session's auth key. Raises Unauthorized."""
        self._check(header, header_digest(SESSION_DOMAIN, keygen_session_id, "", header), session_key, now)

    def user(self, header: SignatureHeader, scope: str, user_id: str, auth_key: bytes, now: int) -> None:
        """X-User-Signature by the user's registered auth key. Raises Unauthorized."""
        self._check(header, header_digest(USER_DOMAIN, scope, user_id, header), auth_key, now)

    def _check(self, header: SignatureHeader, digest: bytes, public_key: bytes, now: int) -> None:
        if not now - HEADER_MAXIMUM_AGE <= header.timestamp <= now + HEADER_MAXIMUM_AHEAD:
            raise Unauthorized("Authentication proof is outside its validity")
        if not ecdsa_verify(header.signature, digest, public_key):
            raise Unauthorized("Invalid signature")
        expires_at = header.timestamp + HEADER_MAXIMUM_AGE
        if not self._replays.claim(replay_key(public_key, digest), expires_at, now):
            raise Unauthorized("Authentication proof already used")
