"""The headers X-Session-Signature and X-User-Signature: `v1:<seconds>:<nonce>:<signature>`.

Source: keymeld section 2.2. A header proves who asks, once; it covers neither method nor body. Bodies are
protected by their own signatures.
"""

from __future__ import annotations

import os
import re
from typing import Final

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, Refused
from coordinator_core.secp256k1 import SecretKey, ecdsa_sign, ecdsa_verify, sha256
from coordinator_core.units import Seconds, UnixTime

SESSION_DOMAIN: Final = "keymeld-http-session-auth-v1"
USER_DOMAIN: Final = "keymeld-http-user-auth-v1"
MAX_AGE: Final = Seconds(300)
MAX_AHEAD: Final = Seconds(30)
HEADER: Final = "signature header"
"""How errors name a header that was refused."""

_REPLAY_DOMAIN = b"keymeld-http-replay-v1"
_HEADER = re.compile(r"v1:(0|[1-9][0-9]{0,18}):([0-9a-f]{32}):([0-9a-f]{128})")


class RequestScope(Struct, frozen=True):
    """What a header is valid for."""

    domain: str
    scope: str
    user_id: str

    def digest(self, timestamp: UnixTime, nonce: bytes) -> bytes:
        """The 32 bytes that a header signs; `nonce` has 16 bytes."""
        parts = (self.domain.encode(), self.scope.encode(), self.user_id.encode())
        sized = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return sha256(sized + timestamp.to_bytes(8, "big") + nonce)

    def header(self, key: SecretKey, timestamp: UnixTime, *, nonce: bytes | None = None) -> str:
        """A header value; the nonce is fresh unless a test vector fixes it."""
        number = os.urandom(16) if nonce is None else nonce
        signature = ecdsa_sign(self.digest(timestamp, number), key)
        return f"v1:{timestamp}:{number.hex()}:{signature.hex()}"

    def verify(self, header: str, public_key: bytes) -> RequestProof:
        """Parse and verify a header of another party; its age is `RequestProof.check_age`'s matter.

        Raises InvalidInput for another shape, InvalidSignature when `public_key` (33 bytes) did not sign
        this scope.
        """
        match = _HEADER.fullmatch(header)
        if match is None:
            raise InvalidInput(HEADER, "has another shape", "v1:<seconds>:<32 hex>:<128 hex>")
        timestamp, nonce = int(match[1]), bytes.fromhex(match[2])
        if timestamp >= 1 << 63:
            raise InvalidInput(HEADER, "has a time out of range")
        digest = self.digest(UnixTime(timestamp), nonce)
        if not ecdsa_verify(bytes.fromhex(match[3]), digest, public_key):
            raise InvalidSignature(HEADER, fault=Fault.PLAYER)
        return RequestProof(UnixTime(timestamp), sha256(_REPLAY_DOMAIN + public_key + digest).hex())


class RequestProof(Struct, frozen=True):
    """A verified header. `replay_key` is unique to it: seen before means used before."""

    timestamp: UnixTime
    replay_key: str

    def check_age(self, now: UnixTime, *, max_age: Seconds = MAX_AGE) -> None:
        """Raises Refused when older than `max_age` or more than 30 s ahead of `now`."""
        check_age(HEADER, self.timestamp, now, max_age)


def check_age(what: str, timestamp: UnixTime, now: UnixTime, max_age: Seconds = MAX_AGE) -> None:
    """The protocol's window for headers and approvals. Raises Refused."""
    if now - timestamp > max_age:
        raise Refused(what, f"is {now - timestamp} s old", f"at most {max_age} s", fault=Fault.PLAYER)
    if timestamp - now > MAX_AHEAD:
        raise Refused(what, f"is {timestamp - now} s ahead", f"at most {MAX_AHEAD} s", fault=Fault.PLAYER)


def session_scope(keygen_session_id: str) -> RequestScope:
    """Scope of X-Session-Signature: the keygen session, also for POST /signing."""
    return RequestScope(SESSION_DOMAIN, keygen_session_id, "")


def user_scope(signing_session_id: str, user_id: str) -> RequestScope:
    """Scope of X-User-Signature: one signing session and one user."""
    return RequestScope(USER_DOMAIN, signing_session_id, user_id)
