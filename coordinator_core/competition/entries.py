"""A player's signed entry: keys, hashes and the commitment to the picks, bound to the terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex32, Hex33
from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.competition.picks import Pick, commit
from coordinator_core.competition.player_keys import entry_keys, payout_preimage, picks_salt, slot_key
from coordinator_core.competition.signed import ENTRY_KIND, open_document, sign_document
from coordinator_core.errors import Fault, InvalidInput, Refused, VerificationFailed
from coordinator_core.nostr.event import Event
from coordinator_core.secp256k1 import SecretKey, parse_point, sha256
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

_FRESH: Final = "make a fresh one"


class DuplicateInEntry(Refused):
    """A key or hash that already has another use. Two uses of one would let one contract open another."""

    code = "competition.entries.duplicate"


class EntryDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the player signs."""

    type: Literal["entry/v1"]
    terms_hash: Hex32
    entry_id: UUID
    entry_keys: Annotated[tuple[Hex33, ...], Meta(min_length=ATTEMPTS, max_length=ATTEMPTS)]
    """Key i signs in attempt i + 1 and in no other."""
    payout_hash: Hex32
    ticket_hash: Hex32
    slot_key: Hex33
    picks_commitment: Hex32


@dataclass(frozen=True, slots=True)
class Entry:
    """A verified entry, with the event that proves it."""

    event: Event
    document: EntryDocument

    @property
    def id(self) -> UUID:
        """Allotted by the coordinator; ascending ids are the order of the contract and of the oracle."""
        return self.document.entry_id

    @property
    def player(self) -> bytes:
        """X-only Nostr key, 32 bytes."""
        return self.event.author

    @property
    def ticket_hash(self) -> bytes:
        """32 bytes: payment hash of the ticket."""
        return bytes.fromhex(self.document.ticket_hash)

    @property
    def payout_hash(self) -> bytes:
        """32 bytes: of the preimage that the player sells for its prize."""
        return bytes.fromhex(self.document.payout_hash)

    @property
    def slot_key(self) -> bytes:
        """33 bytes: credential of the player's slot in signing sessions."""
        return bytes.fromhex(self.document.slot_key)

    @property
    def commitment(self) -> bytes:
        """32 bytes: to the picks."""
        return bytes.fromhex(self.document.picks_commitment)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The entry keys of attempts 1 to 8, 33 bytes each."""
        return tuple(bytes.fromhex(key) for key in self.document.entry_keys)

    def key(self, attempt: int) -> bytes:
        """The entry key of an attempt, 33 bytes. Raises InvalidInput."""
        if not 1 <= attempt <= ATTEMPTS:
            raise InvalidInput("attempt", f"{attempt} is no attempt", f"1 to {ATTEMPTS}")
        return bytes.fromhex(self.document.entry_keys[attempt - 1])


def sign_entry(
    identity: SecretKey,
    player: Secret,
    *,
    terms_hash: bytes,
    entry_id: UUID,
    ticket_hash: bytes,
    picks: Sequence[Pick],
    created_at: UnixTime,
) -> Entry:
    """The entry of a player, with everything derived from its secret; `identity` is its Nostr key.

    The same picks give the same entry but for the ticket hash, so a renewal needs no decision of the player.
    Raises InvalidInput.
    """
    preimage, salt = payout_preimage(player, entry_id), picks_salt(player, entry_id)
    document = EntryDocument(
        type="entry/v1",
        terms_hash=terms_hash.hex(),
        entry_id=entry_id,
        entry_keys=tuple(key.public_key.hex() for key in entry_keys(player, entry_id)),
        payout_hash=sha256(preimage.reveal()).hex(),
        ticket_hash=ticket_hash.hex(),
        slot_key=slot_key(player, entry_id).public_key.hex(),
        picks_commitment=commit(entry_id, salt.reveal(), picks).hex(),
    )
    event = sign_document(identity, ENTRY_KIND, document, created_at)
    return verify_entry(
        event, terms_hash=terms_hash, entry_id=entry_id, ticket_hash=ticket_hash, author=identity.x_only
    )


def verify_entry(event: Event, *, terms_hash: bytes, entry_id: UUID, ticket_hash: bytes, author: bytes) -> Entry:
    """The entry, once the player `author` (x-only) signed it for these terms, this entry id and this ticket.

    Raises InvalidInput, DuplicateInEntry, VerificationFailed or InvalidSignature, at the player's fault.
    """
    document = open_document(event, ENTRY_KIND, EntryDocument, author, "entry", Fault.PLAYER)
    bound = (
        ("terms_hash", document.terms_hash, terms_hash.hex()),
        ("entry_id", document.entry_id, entry_id),
        ("ticket_hash", document.ticket_hash, ticket_hash.hex()),
    )
    for name, given, wanted in bound:
        if given != wanted:
            raise VerificationFailed(f"entry.{name}", "is not that of the reservation", fault=Fault.PLAYER)
    entry = Entry(event, document)
    for field, key in _named_keys(entry):
        _require_point(key, field)
    _check_free(entry, taken_keys={entry.player}, taken_hashes=set())
    return entry


def check_unique(entry: Entry, others: Iterable[Entry], own_keys: Iterable[bytes] = ()) -> None:
    """Refuse an entry that shares a key or a hash with another entry, or a key with ours.

    `others` are the entries of other ids, `own_keys` points (33 bytes) or x-only keys. Keys are
    compared without their parity. Raises DuplicateInEntry naming the member.
    """
    taken_keys = {entry.player, *(key[-32:] for key in own_keys)}
    taken_hashes: set[bytes] = set()
    for other in others:
        if other.id != entry.id:
            taken_keys.update(key[-32:] for _, key in _named_keys(other))
            taken_hashes.update((other.ticket_hash, other.payout_hash))
    _check_free(entry, taken_keys, taken_hashes)


def _check_free(entry: Entry, taken_keys: set[bytes], taken_hashes: set[bytes]) -> None:
    for field, key in _named_keys(entry):
        if key[-32:] in taken_keys:
            raise DuplicateInEntry(field, "is already in use", _FRESH, fault=Fault.PLAYER)
        taken_keys.add(key[-32:])
    for field, value in (("entry.ticket_hash", entry.ticket_hash), ("entry.payout_hash", entry.payout_hash)):
        if value in taken_hashes:
            raise DuplicateInEntry(field, "is already in use", _FRESH, fault=Fault.PLAYER)
        taken_hashes.add(value)


def _named_keys(entry: Entry) -> Iterator[tuple[str, bytes]]:
    for index, key in enumerate(entry.keys):
        yield f"entry.entry_keys[{index}]", key
    yield "entry.slot_key", entry.slot_key


def _require_point(key: bytes, field: str) -> None:
    try:
        parse_point(key, field=field)
    except InvalidInput as problem:
        problem.fault = Fault.PLAYER
        raise
