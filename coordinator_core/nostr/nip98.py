"""HTTP authorization by a signed event (NIP-98), bound to method, address and body."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, urlsplit

from coordinator_core.competition.documents import decode_strict
from coordinator_core.errors import CoreError, Fault, InvalidInput, VerificationFailed
from coordinator_core.nostr.event import Event, sign_event, verify_event
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.units import UnixTime

HTTP_AUTH_KIND: Final = 27_235
WINDOW_SECONDS: Final = 60
MAX_HEADER_BYTES: Final = 8_192
_SCHEME: Final = "Nostr "
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Rejection(StrEnum):
    """Why a header is not accepted, in the order in which it is checked."""

    MISSING = "missing"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    MISMATCH = "mismatch"
    BAD_SIGNATURE = "bad_signature"
    PAYLOAD_MISMATCH = "payload_mismatch"


class NotAuthorized(VerificationFailed):
    """A request without a valid authorization. `rejection` is the first check that failed."""

    code = "nostr.not_authorized"

    def __init__(self, rejection: Rejection, reason: str) -> None:
        super().__init__("authorization", reason, fault=Fault.PLAYER)
        self.rejection = rejection


@dataclass(frozen=True, slots=True)
class Authorization:
    """A verified header. `replay_id` must be refused for as long as `valid_until` (inclusive) has not
    passed.
    """

    author: bytes
    """X-only key, 32 bytes."""
    replay_id: bytes
    """The event's id, 32 bytes."""
    valid_until: UnixTime


def build_authorization(
    method: str, url: str, body: bytes | None, secret: SecretKey, created_at: UnixTime, *, nonce: str | None = None
) -> str:
    """The value of the Authorization header for one request.

    Sign a new one for every attempt, retries too: a server accepts an id once. The nonce tag (by
    default random) keeps two requests of one second apart. Raises InvalidInput.
    """
    tags = [["u", url], ["method", method.upper()], ["nonce", nonce or secrets.token_hex(8)]]
    if body:
        tags.append(["payload", sha256(body).hex()])
    event = sign_event(secret, HTTP_AUTH_KIND, "", tags, created_at=created_at)
    return _SCHEME + base64.b64encode(event.to_json()).decode()


def verify_authorization(header: str | None, method: str, url: str, body: bytes, now: UnixTime) -> Authorization:
    """Check a header against the request as it was made to `url`, the public address of this server.

    Raises NotAuthorized. The caller refuses a replay_id that it has seen.
    """
    if not header:
        raise NotAuthorized(Rejection.MISSING, "there is no Authorization header")
    event = _decode(header)
    if abs(now - event.created_at) > WINDOW_SECONDS:
        raise NotAuthorized(Rejection.EXPIRED, f"created_at is more than {WINDOW_SECONDS} s from our time {now}")
    signed_url, signed_method = event.tag("u"), event.tag("method")
    if signed_url is None or signed_method is None:
        raise NotAuthorized(Rejection.MALFORMED, "tag u or method is missing")
    if signed_method != method or not same_address(signed_url, url):
        raise NotAuthorized(Rejection.MISMATCH, "was signed for another method or address")
    try:
        verify_event(event)
    except CoreError as problem:
        raise NotAuthorized(Rejection.BAD_SIGNATURE, str(problem)) from None
    _check_payload(event, body)
    return Authorization(
        author=event.author,
        replay_id=bytes.fromhex(event.id),
        valid_until=UnixTime(event.created_at + WINDOW_SECONDS),
    )


def same_address(one: str, other: str) -> bool:
    """True if two absolute http addresses are the same after normalization of scheme, host, port and
    empty path.
    """
    first, second = _normal(one), _normal(other)
    return first is not None and first == second


def _decode(header: str) -> Event:
    if len(header) > MAX_HEADER_BYTES or not header.startswith(_SCHEME):
        raise NotAuthorized(Rejection.MALFORMED, "is no Nostr header of at most 8192 bytes")
    try:
        raw = base64.b64decode(header[len(_SCHEME) :], validate=True)
        event = decode_strict(raw, Event, "authorization")
    except (binascii.Error, ValueError, InvalidInput):
        raise NotAuthorized(Rejection.MALFORMED, "is no base64 of an event") from None
    if event.kind != HTTP_AUTH_KIND or event.content:
        raise NotAuthorized(Rejection.MALFORMED, f"is no event of kind {HTTP_AUTH_KIND} without content")
    return event


def _check_payload(event: Event, body: bytes) -> None:
    payload = event.tag("payload")
    if payload is None and not body:
        return
    if payload != sha256(body).hex():
        raise NotAuthorized(Rejection.PAYLOAD_MISMATCH, "the body is not the one that was signed")


def _normal(url: str) -> tuple[str, str, int | None, str, str] | None:
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], parts.path or "/", parts.query
