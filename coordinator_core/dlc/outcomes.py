"""Names of outcomes, win conditions and signatures inside a contract (dlctix section 1).

An outcome is the index of an attestation, or EXPIRY. Maps are ordered by attestation index, expiry last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, NewType

from coordinator_core.errors import InvalidInput

Outcome = NewType("Outcome", int)
"""Index of an attestation of the event (0 or more), or EXPIRY."""
EXPIRY: Final = Outcome(-1)
"""The outcome that needs no attestation, only time. -1 is also how dlctix encodes it in CBOR and in scripts."""
MAX_INDEX: Final = 0x7FFFFFFF
"""Above it an index is no script number."""

_ATTESTATION: Final = re.compile(r"att(0|[1-9][0-9]{0,9})", re.ASCII)
_PLAYER: Final = re.compile(r"p(0|[1-9][0-9]{0,9})", re.ASCII)


class WinCondition(NamedTuple):
    """A player who is paid by an outcome."""

    outcome: Outcome
    player: int


SigningSlot = Outcome | WinCondition
"""Names one aggregated signature of a contract: of an outcome transaction, or of one winner's split leaf."""


def outcome_order(outcome: Outcome) -> tuple[bool, int]:
    """Sort key of outcomes."""
    return outcome == EXPIRY, outcome


def in_order(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Outcomes by attestation index, expiry last."""
    return sorted(outcomes, key=outcome_order)


def label(slot: SigningSlot) -> str:
    """`att3`, `exp`, `att3:p1` or `exp:p1`, as dlctix writes them in JSON."""
    if isinstance(slot, WinCondition):
        return f"{label(slot.outcome)}:p{slot.player}"
    return "exp" if slot == EXPIRY else f"att{slot}"


def parse_outcome(text: str, field: str) -> Outcome:
    """Read `att3` or `exp` in canonical form. Raises InvalidInput."""
    if text == "exp":
        return EXPIRY
    match = _ATTESTATION.fullmatch(text)
    if match is None or int(match[1]) > MAX_INDEX:
        raise InvalidInput(field, "is not the name of an outcome", "att0, att1, ... or exp")
    return Outcome(int(match[1]))


def parse_win_condition(text: str, field: str) -> WinCondition:
    """Read `att3:p1` or `exp:p1` in canonical form. Raises InvalidInput."""
    outcome, _, player = text.partition(":")
    match = _PLAYER.fullmatch(player)
    if match is None:
        raise InvalidInput(field, "is not the name of a win condition", "an outcome, a colon and p0, p1, ...")
    return WinCondition(parse_outcome(outcome, field), int(match[1]))
