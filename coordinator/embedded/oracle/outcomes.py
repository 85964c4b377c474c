"""Outcomes of a ranking and the messages that are attested (noaa-oracle 2.x, outcomes and points)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

MAX_ENTRIES = 25
MAX_PLACES = 5
MAX_OUTCOMES = 20_000


def outcome_count(entries: int, places: int) -> int:
    """Rankings of `places` out of `entries`, and refund-all."""
    return math.perm(entries, places) + 1


def ranking_outcomes(entries: int, places: int) -> list[tuple[int, ...]]:
    """All rankings in lexicographic order of entry indices, then refund-all: every index in order."""
    return [*permutations(range(entries), places), tuple(range(entries))]


def outcome_message(winners: Sequence[int]) -> bytes:
    """Each index as 8 bytes big-endian."""
    return b"".join(index.to_bytes(8, "big") for index in winners)
