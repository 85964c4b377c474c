"""What a player derives from one secret, so that nothing but that secret has to be kept.

Everything is a tagged hash of secret (32 bytes), entry id (16), number (1) and a counter (1) that
counts up in the negligible case that a hash is no key. Each purpose has a tag of its own.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import N, SecretKey, tagged_hash
from coordinator_core.secret import Secret

ENTRY_KEY_TAG: Final = "coordinator/entry-key/v1"
SLOT_KEY_TAG: Final = "coordinator/slot-key/v1"
PAYOUT_TAG: Final = "coordinator/payout-preimage/v1"
SALT_TAG: Final = "coordinator/picks-salt/v1"


def entry_key(player: Secret, entry_id: UUID, attempt: int) -> SecretKey:
    """The key that signs the contract of attempt 1 to 8, used in no other. Raises InvalidInput."""
    if not 1 <= attempt <= ATTEMPTS:
        raise InvalidInput("attempt", f"{attempt} is no attempt", f"1 to {ATTEMPTS}")
    return _key(ENTRY_KEY_TAG, player, entry_id, attempt)


def entry_keys(player: Secret, entry_id: UUID) -> tuple[SecretKey, ...]:
    """The keys of all attempts, in order."""
    return tuple(entry_key(player, entry_id, attempt) for attempt in range(1, ATTEMPTS + 1))


def slot_key(player: Secret, entry_id: UUID) -> SecretKey:
    """The credential of the player's slot in every signing session of this entry."""
    return _key(SLOT_KEY_TAG, player, entry_id, 0)


def payout_preimage(player: Secret, entry_id: UUID) -> Secret:
    """What the player sells for its prize; its SHA256 is the payout hash of the entry."""
    return Secret(_hash(PAYOUT_TAG, player, entry_id, 0, 0))


def picks_salt(player: Secret, entry_id: UUID) -> Secret:
    """The salt of the commitment to the picks, secret until they are opened."""
    return Secret(_hash(SALT_TAG, player, entry_id, 0, 0))


def _key(tag: str, player: Secret, entry_id: UUID, number: int) -> SecretKey:
    for counter in range(256):
        scalar = _hash(tag, player, entry_id, number, counter)
        if 0 < int.from_bytes(scalar, "big") < N:
            return SecretKey.from_bytes(scalar)
    raise InvalidInput("player secret", "gives no key", "another secret")


def _hash(tag: str, player: Secret, entry_id: UUID, number: int, counter: int) -> bytes:
    secret = player.reveal()
    if len(secret) != 32:
        raise InvalidInput("player secret", f"has {len(secret)} bytes", "32 bytes")
    return tagged_hash(tag, secret + entry_id.bytes + bytes((number, counter)))
