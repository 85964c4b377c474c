"""Nostr events as the relay takes them (NIP-01): shape, id and signature verified."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from coordinator.embedded.relay import limits
from coordinator.embedded.relay.errors import RelayRefusal
from coordinator_core.secp256k1 import schnorr_verify

_FIELDS: Final = {"id", "pubkey", "created_at", "kind", "tags", "content", "sig"}
_HEX: Final = frozenset("0123456789abcdef")
_MAX_KIND: Final = 65_535
_MAX_TIME: Final = (1 << 53) - 1


class Retention(StrEnum):
    """How long an event of its kind is kept."""

    REGULAR = "regular"
    REPLACEABLE = "replaceable"
    EPHEMERAL = "ephemeral"
    ADDRESSABLE = "addressable"


@dataclass(frozen=True)
class Event:
    """A verified event. `id`, `pubkey` and `sig` are lower-case hex, `created_at` seconds since 1970."""

    id: str
    pubkey: str
    created_at: int
    kind: int
    tags: tuple[tuple[str, ...], ...]
    content: str
    sig: str

    @property
    def retention(self) -> Retention:
        """By the ranges of NIP-01."""
        if self.kind in (0, 3) or 10_000 <= self.kind < 20_000:
            return Retention.REPLACEABLE
        if 20_000 <= self.kind < 30_000:
            return Retention.EPHEMERAL
        if 30_000 <= self.kind < 40_000:
            return Retention.ADDRESSABLE
        return Retention.REGULAR

    @property
    def address(self) -> str | None:
        """What a newer event must share to replace this one; None where nothing replaces it."""
        if self.retention is Retention.REPLACEABLE:
            return f"{self.kind}:{self.pubkey}:"
        if self.retention is Retention.ADDRESSABLE:
            name = next((tag[1] for tag in self.tags if tag[0] == "d" and len(tag) > 1), "")
            return f"{self.kind}:{self.pubkey}:{name}"
        return None

    def indexed_tags(self) -> set[tuple[str, str]]:
        """Single-letter tags with their first value: what filters can ask for."""
        return {(tag[0], tag[1]) for tag in self.tags if len(tag) > 1 and is_tag_letter(tag[0])}

    def as_json(self) -> dict[str, Any]:
        """The event as it goes over the wire."""
        return {
            "id": self.id,
            "pubkey": self.pubkey,
            "created_at": self.created_at,
            "kind": self.kind,
            "tags": [list(tag) for tag in self.tags],
            "content": self.content,
            "sig": self.sig,
        }


def is_tag_letter(name: str) -> bool:
    """One letter of the English alphabet."""
    return len(name) == 1 and name.isascii() and name.isalpha()


def is_hex(value: object, length: int) -> bool:
    """Lower-case hex of so many letters."""
    return isinstance(value, str) and len(value) == length and _HEX.issuperset(value)


def is_natural(value: object, most: int) -> bool:
    """A whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def verify_event(value: object, now: float) -> Event:
    """An event from outside, verified. Raises RelayRefusal."""
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise RelayRefusal("an event has the fields id, pubkey, created_at, kind, tags, content, sig")
    rules = (
        (is_hex(value["id"], 64), "id is not 64 letters of lower-case hex"),
        (is_hex(value["pubkey"], 64), "pubkey is not 64 letters of lower-case hex"),
        (is_hex(value["sig"], 128), "sig is not 128 letters of lower-case hex"),
        (is_natural(value["created_at"], _MAX_TIME), "created_at is not a time in seconds"),
        (is_natural(value["kind"], _MAX_KIND), "kind is not from 0 to 65535"),
        (_are_tags(value["tags"]), "tags are not lists of strings, or too many"),
        (isinstance(value["content"], str), "content is not a string"),
    )
    for kept, reason in rules:
        if not kept:
            raise RelayRefusal(reason)
    event = Event(
        id=value["id"],
        pubkey=value["pubkey"],
        created_at=value["created_at"],
        kind=value["kind"],
        tags=tuple(tuple(tag) for tag in value["tags"]),
        content=value["content"],
        sig=value["sig"],
    )
    if event.created_at > now + limits.MAX_FUTURE_SECONDS:
        raise RelayRefusal("created_at is too far in the future")
    _check_signature(event)
    return event


def _are_tags(value: object) -> bool:
    if not isinstance(value, list) or len(value) > limits.MAX_TAGS:
        return False
    return all(isinstance(tag, list) and len(tag) > 0 and all(isinstance(item, str) for item in tag) for tag in value)


def _check_signature(event: Event) -> None:
    body = [0, event.pubkey, event.created_at, event.kind, event.tags, event.content]
    try:
        serialized = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise RelayRefusal("text holds half a surrogate pair") from error
    if len(event.content.encode()) > limits.MAX_CONTENT_BYTES:
        raise RelayRefusal("content is too long")
    digest = hashlib.sha256(serialized).digest()
    if digest.hex() != event.id:
        raise RelayRefusal("id is not the hash of the event")
    if not schnorr_verify(bytes.fromhex(event.sig), digest, bytes.fromhex(event.pubkey)):
        raise RelayRefusal("signature does not verify")
