"""UUIDv7 (RFC 9562): ids that the coordinator allots, so that ascending ids follow the time of
reservation.
"""

from __future__ import annotations

import secrets
from uuid import UUID

from coordinator_core.errors import InvalidInput
from coordinator_core.units import UnixTime

_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62


def uuid7(at: UnixTime) -> UUID:
    """A fresh id for a second; 74 random bits keep ids of one second apart. Raises InvalidInput."""
    milliseconds = at * 1_000
    if not 0 <= milliseconds < 1 << 48:
        raise InvalidInput("time", f"{at} does not fit an id", "a date before the year 10889")
    random = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | _VERSION | (random >> 62) << 64 | _VARIANT | (random & ((1 << 62) - 1)))
