"""The closing: batches, quota, windows, who is dropped (money section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coordinator_core.competition.chain_cost import ContractShape
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Seconds, UnixTime

BATCH_ITEMS: Final = 100
"""Signing items in one batch of the signing gateway."""
MAX_SUBSETS: Final = 200
MAX_SESSIONS: Final = 100
LATE_IS_REMEMBERED_FROM: Final = 3
"""From this attempt on, whoever was late in an earlier one is left out."""
BARRED_SECONDS: Final = Seconds(86_400)
"""How long a player that sealed in no attempt gets no new ticket."""


def batch_count(shape: ContractShape) -> int:
    """B: batches that hold every signing item."""
    return -(-shape.signing_items // BATCH_ITEMS)


def max_signing_sessions(batches: int) -> int:
    """The session's quota, never null: B + 2 + ceil(B / 4). Spare sessions are what is above B."""
    if batches < 1:
        raise InvalidInput("batches", f"{batches} is no number of batches", "at least 1")
    return batches + 2 + -(-batches // 4)


def window_end(start: UnixTime, length: Seconds, outages: Iterable[tuple[UnixTime, UnixTime]]) -> UnixTime:
    """When a window ends if the time in which a service was down does not count.

    `outages` are (from, to) of the wall clock, in any order, overlapping or not; one that lasts ends at now.
    """
    end = start + length
    counted_until = start
    for begin, stop in sorted(outages):
        begin = max(begin, counted_until)
        if begin >= end:
            break
        if stop > begin:
            end += stop - begin
            counted_until = stop
    return UnixTime(end)


def was_late(start: UnixTime, length: Seconds, done: UnixTime, outages: Iterable[tuple[UnixTime, UnixTime]]) -> bool:
    """True if a player sealed or said ready after three quarters of a window. `outages` as in `window_end`: until a
    service is back nobody can be in time.
    """
    return done > window_end(start, Seconds(3 * length // 4), outages)


def is_left_out(attempt: int, late_before: bool) -> bool:
    """True if a player that was late in an earlier attempt is not taken into this one."""
    return late_before and attempt >= LATE_IS_REMEMBERED_FROM
