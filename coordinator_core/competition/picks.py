"""Picks of an entry, their canonical bytes, and the commitment that hides them until keys are sealed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct

from coordinator_core.competition.documents import canonical_bytes
from coordinator_core.competition.observation import Name, Observation, Target
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.secp256k1 import sha256

PICKS_TAG: Final = b"coordinator/picks/v1"
SALT_BYTES: Final = 32


class Choice(StrEnum):
    """What a player predicts of a pair."""

    OVER = "over"
    PAR = "par"
    UNDER = "under"


class Pick(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prediction for one pair of target and metric."""

    target: Target
    metric: Name
    choice: Choice


def check_picks(picks: Sequence[Pick], observation: Observation) -> None:
    """Exactly as many picks as the terms ask for, each for another pair of the terms. Raises InvalidInput."""
    wanted = observation.values_per_entry
    if len(picks) != wanted:
        raise _unfit("picks", f"{len(picks)} picks", f"exactly {wanted}")
    metrics = {metric.id for metric in observation.metrics}
    seen: set[tuple[str, str]] = set()
    for index, pick in enumerate(picks):
        pair = (pick.target, pick.metric)
        if pick.target not in observation.targets or pick.metric not in metrics:
            raise _unfit(f"picks[{index}]", "is for a pair that is not observed", "one of the terms' pairs")
        if pair in seen:
            raise _unfit(f"picks[{index}]", "is for a pair that was picked before", "another pair")
        seen.add(pair)


def sorted_picks(picks: Sequence[Pick]) -> tuple[Pick, ...]:
    """Picks in canonical order: by target, then metric."""
    return tuple(sorted(picks, key=lambda pick: (pick.target, pick.metric)))


def commit(entry_id: UUID, salt: bytes, picks: Sequence[Pick]) -> bytes:
    """SHA256(tag || entry id (16) || salt (32) || canonical picks), 32 bytes. Raises InvalidInput."""
    if len(salt) != SALT_BYTES:
        raise InvalidInput("salt", f"{len(salt)} bytes", f"{SALT_BYTES} bytes", fault=Fault.PLAYER)
    return sha256(PICKS_TAG + entry_id.bytes + salt + canonical_bytes(sorted_picks(picks)))


def verify_opening(
    commitment: bytes, entry_id: UUID, salt: bytes, picks: Sequence[Pick], observation: Observation
) -> tuple[Pick, ...]:
    """Opened picks that fit the terms and the commitment of the signed entry, in canonical order.

    Raises InvalidInput for picks that the terms do not allow, VerificationFailed for others than were
    committed to.
    """
    check_picks(picks, observation)
    if commit(entry_id, salt, picks) != commitment:
        raise VerificationFailed("picks", "are not those of the signed entry", fault=Fault.PLAYER)
    return sorted_picks(picks)


def _unfit(field: str, reason: str, fix: str) -> InvalidInput:
    return InvalidInput(field, reason, fix, fault=Fault.PLAYER)
