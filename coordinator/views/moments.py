"""Dates as pages show them: machine readable, absolute in UTC, and relative to the clock that rules them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from coordinator_core.units import UnixTime

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


@dataclass(frozen=True, slots=True)
class Moment:
    """A date: `iso` for machines, `text` for people (UTC), `relative` to now."""

    iso: str
    text: str
    relative: str


def moment(at: UnixTime, now: UnixTime) -> Moment:
    """The date `at`, seen from `now`; both in seconds of the same clock."""
    date = datetime.fromtimestamp(at, UTC)
    return Moment(date.strftime("%Y-%m-%dT%H:%M:%SZ"), date.strftime("%Y-%m-%d %H:%M UTC"), relative(at - now))


def relative(seconds: int) -> str:
    """A distance in words, rounded down to its largest unit: a text that rarely changes is rarely sent again."""
    distance = abs(seconds)
    for unit, length in _UNITS:
        if (count := distance // length) > 0:
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "in less than a minute" if seconds > 0 else "just now"
