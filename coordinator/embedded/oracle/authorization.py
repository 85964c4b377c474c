"""NIP-98: who signed this request. The order of the checks is the order of the answers."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from msgspec import Struct

from coordinator.embedded.oracle.errors import AuthError, AuthFailure
from coordinator_core.secp256k1 import schnorr_verify, sha256

KIND = 27235
MAX_AGE_SECONDS = 60
MAX_HEADER_BYTES = 8_192
MAX_REMEMBERED = 10_000
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH"})


class Role(StrEnum):
    """What a signer may do."""

    COORDINATOR = "coordinator"
    UPLOADER = "uploader"


class SignedEvent(Struct, frozen=True):
    """A Nostr event as it stands in the header."""

    id: str
    pubkey: str
    created_at: int
    kind: int
    tags: list[list[str]]
    content: str
    sig: str


class SignedFor(Struct, frozen=True):
    """What the tags of the event say."""

    url: str
    method: str
    payload: bytes | None


class Request(Struct, frozen=True):
    """The parts of a request that are checked. `target` is path and query as requested; `body` may fail."""

    method: str
    target: str
    authorization: str | None
    body: Callable[[], Awaitable[bytes]]


class Authorizer:
    """Checks signed requests against the public origin and the allow-lists; empty lists allow nobody."""

    def __init__(
        self,
        origin: str,
        allowed: dict[Role, set[bytes]],
        *,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin.rstrip("/")
        self.allowed = allowed
        self._clock = clock
        self._elapsed = elapsed
        self._seen: dict[str, float] = {}

    async def authorize(self, request: Request) -> tuple[bytes, bytes]:
        """The signer's key (32 bytes) and the body. Raises AuthError."""
        event = _parse(request.authorization)
        if abs(int(self._clock()) - event.created_at) > MAX_AGE_SECONDS:
            raise AuthError(AuthFailure.EXPIRED)
        signed = _signed_for(event)
        if not _same_url(signed.url, self._origin + request.target) or signed.method != request.method:
            raise AuthError(AuthFailure.MISMATCH)
        signer = _verify(event)
        if not any(signer in keys for keys in self.allowed.values()):
            raise AuthError(AuthFailure.NOT_ALLOWED)
        body = await request.body()
        if not (signed.payload == sha256(body) if signed.payload is not None else not body):
            raise AuthError(AuthFailure.PAYLOAD_MISMATCH)
        self._remember(event.id)
        return signer, body

    def require(self, role: Role, signer: bytes) -> None:
        """Raises AuthError unless the signer has the role."""
        if signer not in self.allowed[role]:
            raise AuthError(AuthFailure.NOT_ALLOWED)

    def _remember(self, event_id: str) -> None:
        now = self._elapsed()
        # Twice the window: an event may be signed up to a minute ahead.
        self._seen = {seen: at for seen, at in self._seen.items() if now - at <= 2 * MAX_AGE_SECONDS}
        if event_id in self._seen:
            raise AuthError(AuthFailure.REPLAYED)
        if len(self._seen) >= MAX_REMEMBERED:
            raise AuthError(AuthFailure.BUSY)
        self._seen[event_id] = now


def _parse(header: str | None) -> SignedEvent:
    if header is None:
        raise AuthError(AuthFailure.MISSING)
    if len(header) > MAX_HEADER_BYTES or not header.startswith("Nostr "):
        raise AuthError(AuthFailure.MALFORMED)
    try:
        data = base64.b64decode(header.removeprefix("Nostr "), validate=True)
        event = msgspec.json.decode(data, type=SignedEvent)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise AuthError(AuthFailure.MALFORMED) from error
    if event.kind != KIND or event.content or _hex(event.pubkey, 32) is None or _hex(event.sig, 64) is None:
        raise AuthError(AuthFailure.MALFORMED)
    return event


def _signed_for(event: SignedEvent) -> SignedFor:
    found: dict[str, str] = {}
    for tag in event.tags:
        if len(tag) >= 2 and tag[0] in ("u", "method", "payload"):
            found.setdefault(tag[0], tag[1])
    payload = _hex(found["payload"], 32) if "payload" in found else None
    if "u" not in found or found.get("method") not in _METHODS or ("payload" in found and payload is None):
        raise AuthError(AuthFailure.MALFORMED)
    if _split(found["u"]) is None:
        raise AuthError(AuthFailure.MALFORMED)
    return SignedFor(found["u"], found["method"], payload)


def _verify(event: SignedEvent) -> bytes:
    fields = (0, event.pubkey, event.created_at, event.kind, event.tags, event.content)
    event_id = sha256(msgspec.json.encode(fields))
    signer = bytes.fromhex(event.pubkey)
    if event.id != event_id.hex() or not schnorr_verify(bytes.fromhex(event.sig), event_id, signer):
        raise AuthError(AuthFailure.BAD_SIGNATURE)
    return signer


def _same_url(signed: str, expected: str) -> bool:
    return _normalised(signed) == _normalised(expected)


def _normalised(url: str) -> tuple[str, str | None, int | None, str, str, str]:
    parts = _split(url)
    if parts is None:
        raise AuthError(AuthFailure.MISMATCH)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, unquote(parts.path) or "/", parts.query, parts.fragment


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None


def _hex(text: str, length: int) -> bytes | None:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    return data if len(data) == length and len(text) == 2 * length else None
