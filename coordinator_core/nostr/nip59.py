"""Private messages (NIP-17) in seals and gift wraps (NIP-59): built and opened, not sent."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from coordinator_core.competition.documents import Hex32, decode_strict
from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.nostr.event import Event, EventBody, event_body, parse_event, sign_event, verify_event
from coordinator_core.nostr.nip44 import conversation_key, decrypt, encrypt
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

SEAL_KIND: Final = 13
CHAT_KIND: Final = 14
WRAP_KIND: Final = 1_059
BACKDATED_SECONDS: Final = 2 * 86_400
"""Seal and wrap carry a date up to this long ago, so that dates tell nothing."""


class Rumor(EventBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An unsigned event inside a seal; the seal says who wrote it."""

    id: Hex32


def chat_message(author: bytes, recipient: bytes, text: str, *, created_at: UnixTime) -> EventBody:
    """A private message of one x-only key to another (NIP-17, kind 14), to be wrapped."""
    return event_body(author, CHAT_KIND, text, [["p", recipient.hex()]], created_at=created_at)


def wrap(body: EventBody, sender: SecretKey, recipient: bytes, *, now: UnixTime) -> Event:
    """The gift wrap of `body` for one recipient (x-only, 32 bytes). Raises InvalidInput.

    The seal is signed by the sender, the wrap by a key that is used once; both are dated back at random.
    """
    if body.pubkey != sender.x_only.hex():
        raise InvalidInput("body.pubkey", "is not the sender's key", "wrap what the sender wrote")
    rumor = msgspec.to_builtins(body) | {"id": body.compute_id().hex()}
    sealed = encrypt(msgspec.json.encode(rumor).decode(), conversation_key(sender, recipient))
    seal = sign_event(sender, SEAL_KIND, sealed, created_at=_earlier(now))
    once = SecretKey.generate()
    wrapped = encrypt(seal.to_json().decode(), conversation_key(once, recipient))
    gift = sign_event(once, WRAP_KIND, wrapped, [["p", recipient.hex()]], created_at=_earlier(now))
    once.wipe()
    return gift


def unwrap(gift: Event, recipient: SecretKey, senders: Sequence[bytes] | None = None) -> Rumor:
    """What a gift wrap holds, once every layer is verified. `senders` are x-only keys to accept;
    None: anybody.

    Raises VerificationFailed (Undecryptable, InvalidSignature) or InvalidInput.
    """
    verify_event(gift)
    _expect_kind(gift, WRAP_KIND, "gift wrap")
    seal = parse_event(decrypt(gift.content, conversation_key(recipient, gift.author)), "seal")
    _expect_kind(seal, SEAL_KIND, "seal")
    if seal.tags:
        raise VerificationFailed("seal", "has tags")
    rumor = decode_strict(decrypt(seal.content, conversation_key(recipient, seal.author)), Rumor, "rumor")
    # Without this anybody could seal a message that names somebody else as its author.
    if rumor.pubkey != seal.pubkey:
        raise VerificationFailed("rumor", "names another author than its seal")
    if rumor.compute_id().hex() != rumor.id:
        raise VerificationFailed("rumor", "the id is not the hash of its content")
    if senders is not None and seal.author not in senders:
        raise VerificationFailed("seal", "is from an unexpected sender")
    return rumor


def _expect_kind(event: Event, kind: int, what: str) -> None:
    if event.kind != kind:
        raise VerificationFailed(what, f"is of kind {event.kind}, not {kind}")


def _earlier(now: UnixTime) -> UnixTime:
    return UnixTime(max(0, now - secrets.randbelow(BACKDATED_SECONDS)))
