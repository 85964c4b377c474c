"""RFC 3339 dates on the wire, UNIX seconds inside."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

import msgspec

HOUR: Final = 3_600
DAY: Final = 86_400


def to_unix(date: datetime) -> int:
    """Seconds since 1970, rounded down."""
    return math.floor(date.timestamp())


def rfc3339(seconds: int) -> str:
    """A date in UTC with a trailing Z and no fraction."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> datetime | None:
    """A date with its zone, or None when the text is none."""
    try:
        date = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return date if date.tzinfo is not None else None
