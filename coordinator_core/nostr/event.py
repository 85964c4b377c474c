"""Signed events (NIP-01): id, signature, strict reading."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex32, Hex64, decode_strict
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.secp256k1 import SecretKey, schnorr_sign, schnorr_verify, sha256
from coordinator_core.units import UnixTime

MAX_EVENT_BYTES: Final = 262_144

Tag = tuple[str, ...]


class EventBody(Struct, frozen=True, kw_only=True):
    """What an id is computed of. An event that only has this is a rumor (NIP-59): it can be denied."""

    pubkey: Hex32
    """X-only key of the author."""
    created_at: Annotated[int, Meta(ge=0, lt=1 << 53)]
    kind: Annotated[int, Meta(ge=0, le=65_535)]
    tags: Annotated[tuple[Tag, ...], Meta(max_length=2_000)]
    content: str

    def compute_id(self) -> bytes:
        """SHA256 of the array that NIP-01 prescribes, 32 bytes. Raises InvalidInput for text that is
        not UTF-8.
        """
        fields = [0, self.pubkey, self.created_at, self.kind, self.tags, self.content]
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        try:
            return sha256(text.encode())
        except UnicodeEncodeError:
            raise InvalidInput("event", "holds text that is not Unicode", "UTF-8 without lone surrogates") from None

    def tag(self, name: str) -> str | None:
        """The value of the first tag of this name that has one."""
        return next((tag[1] for tag in self.tags if len(tag) > 1 and tag[0] == name), None)


class Event(EventBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as it travels: hex in lower case."""

    id: Hex32
    sig: Hex64

    @property
    def author(self) -> bytes:
        """X-only key of the author, 32 bytes."""
        return bytes.fromhex(self.pubkey)

    def to_json(self) -> bytes:
        """Compact JSON."""
        return msgspec.json.encode(self)


def sign_event(
    secret: SecretKey,
    kind: int,
    content: str,
    tags: Sequence[Sequence[str]] = (),
    *,
    created_at: UnixTime,
    aux: bytes | None = None,
) -> Event:
    """A signed event. `aux` makes the signature reproducible; None is fresh randomness. Raises
    InvalidInput.
    """
    body = event_body(secret.x_only, kind, content, tags, created_at=created_at)
    event_id = body.compute_id()
    return Event(
        pubkey=body.pubkey,
        created_at=body.created_at,
        kind=body.kind,
        tags=body.tags,
        content=body.content,
        id=event_id.hex(),
        sig=schnorr_sign(event_id, secret, aux).hex(),
    )


def event_body(
    author: bytes, kind: int, content: str, tags: Sequence[Sequence[str]] = (), *, created_at: UnixTime
) -> EventBody:
    """An unsigned event of an x-only key. Raises InvalidInput."""
    if not 0 <= kind <= 65_535:
        raise InvalidInput("event.kind", f"{kind} is no kind", "0 to 65535")
    if not 0 <= created_at < 1 << 53:
        raise InvalidInput("event.created_at", f"{created_at} is no date", "seconds since 1970")
    return EventBody(
        pubkey=author.hex(), created_at=created_at, kind=kind, tags=tuple(map(tuple, tags)), content=content
    )


def verify_event(event: Event, *, fault: Fault = Fault.CALLER) -> None:
    """Id and signature. Raises VerificationFailed or InvalidSignature, at the author's `fault`."""
    event_id = event.compute_id()
    if event_id.hex() != event.id:
        raise VerificationFailed("event", "the id is not the hash of its content", fault=fault)
    if not schnorr_verify(bytes.fromhex(event.sig), event_id, event.author):
        raise InvalidSignature("event", fault=fault)


def parse_event(raw: bytes | str, field: str = "event", *, fault: Fault = Fault.CALLER) -> Event:
    """Read and verify an event. Raises InvalidInput, VerificationFailed or InvalidSignature."""
    event = decode_strict(raw, Event, field, limit=MAX_EVENT_BYTES)
    verify_event(event, fault=fault)
    return event
