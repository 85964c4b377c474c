"""Dates and heights of a competition (money section 2). The clock here is the domain clock."""

from __future__ import annotations

from typing import Final

from coordinator_core.competition.holds import hold_cltv_expiry
from coordinator_core.competition.terms import ScheduleTerms, Terms
from coordinator_core.competition.terms_rules import FUNDING_RESERVE_SECONDS
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.units import Blocks, Height, Seconds, UnixTime

BLOCK_SECONDS: Final = 600
FUNDED_ATTEMPTS: Final = 3
"""Attempts that the closing leaves time for; up to eight run if they fail early."""
ATTEMPT_BLOCKS: Final = Blocks(6)
"""An attempt starts only with this many blocks left before F."""
REFUND_BLOCKS: Final = Blocks(36)
"""From F to T1: when escrows open to players without a confirmed funding."""


def end_of_closing(schedule: ScheduleTerms) -> UnixTime:
    """Entries close, three attempts, the grace for the kick-off check."""
    closing = schedule.closing
    return UnixTime(schedule.entries_close + FUNDED_ATTEMPTS * closing.attempt + closing.kickoff_grace)


def funding_deadline(tip: Height, now: UnixTime, closing_ends: UnixTime) -> Height:
    """F: the tip and 1.15 times the ten-minute blocks until the end of the closing, rounded up. Raises
    InvalidInput.
    """
    if closing_ends <= now:
        raise InvalidInput("terms.schedule.entries_close", "the closing would be over already", "a later date")
    return Height(tip + -(-115 * (closing_ends - now) // (100 * BLOCK_SECONDS)))


def date_of(height: Height, tip: Height, now: UnixTime) -> UnixTime:
    """When a height is expected, at ten minutes a block."""
    return UnixTime(now + (height - tip) * BLOCK_SECONDS)


def refund_height(terms: Terms) -> Height:
    """T1 = F + 36."""
    return Height(terms.schedule.funding_deadline + REFUND_BLOCKS)


def may_start_attempt(terms: Terms, tip: Height) -> bool:
    """An attempt starts only while F - tip >= 6."""
    return terms.schedule.funding_deadline - tip >= ATTEMPT_BLOCKS


def may_broadcast_funding(terms: Terms, tip: Height, now: UnixTime) -> bool:
    """Funding is first broadcast only up to F and 18 slow blocks before the observation, so nobody has a
    free option.
    """
    return tip <= terms.schedule.funding_deadline and now <= latest_funding(terms)


def latest_funding(terms: Terms) -> UnixTime:
    """The last moment at which funding is first broadcast."""
    return UnixTime(terms.observation.window.start - FUNDING_RESERVE_SECONDS)


def time_left_to_close(terms: Terms, now: UnixTime) -> Seconds:
    """Seconds until entries close; negative afterwards."""
    return Seconds(terms.schedule.entries_close - now)


def check_creation(terms: Terms, tip: Height, now: UnixTime, cancel_delta: Blocks) -> None:
    """The rules of the schedule that need the chain, at creation. Raises InvalidInput or Refused.

    `cancel_delta` is how many blocks before its expiry our Lightning node gives a held payment back.
    """
    schedule, deadline = terms.schedule, terms.schedule.funding_deadline
    if schedule.entries_close <= now:
        raise InvalidInput("terms.schedule.entries_close", "is in the past", "a later date")
    wanted = funding_deadline(tip, now, end_of_closing(schedule))
    if deadline != wanted:
        raise InvalidInput("terms.schedule.funding_deadline", "is not tip + 1.15 * blocks to the end", f"{wanted}")
    late = date_of(deadline, tip, now) + FUNDING_RESERVE_SECONDS - terms.observation.window.start
    if late > 0:
        raise Refused(
            "terms.observation.window.start",
            f"height {deadline} and 18 slow blocks would be {late} s after it",
            "observe later or close entries earlier",
        )
    hold_cltv_expiry(terms, tip, cancel_delta)
