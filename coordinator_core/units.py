"""Units as distinct types: mixing two of them is an error of the type checker.

Values are plain integers at run time. The functions with lower-case names check what comes from outside.
"""

from __future__ import annotations

from typing import Final, NewType

from coordinator_core.errors import InvalidInput

Sats = NewType("Sats", int)
Millisats = NewType("Millisats", int)
FeeRate = NewType("FeeRate", int)
"""Satoshi per 1,000 weight units; 1 sat/vB is 250."""
Weight = NewType("Weight", int)
Height = NewType("Height", int)
"""A block height, never a number of blocks."""
Blocks = NewType("Blocks", int)
"""A number of blocks, never a height."""
Confirmations = NewType("Confirmations", int)
UnixTime = NewType("UnixTime", int)
"""Seconds since 1970-01-01 UTC."""
Seconds = NewType("Seconds", int)
BasisPoints = NewType("BasisPoints", int)

MAX_MONEY: Final = Sats(21_000_000 * 100_000_000)
DUST_P2TR: Final = Sats(330)
"""Core's dust limit of a P2TR output at its default dust relay fee."""


def is_int(value: object) -> bool:
    """True for an integer that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def sats(value: object, field: str) -> Sats:
    """Check an amount from outside: an integer, 0 to 21 million bitcoin. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(field, "not a whole number of satoshi", "give an integer")
    if not 0 <= value <= MAX_MONEY:
        raise InvalidInput(field, f"{value} is out of range", f"0 to {MAX_MONEY} sat")
    return Sats(value)


def height(value: object, field: str) -> Height:
    """Check a block height from outside: 0 to 499,999,999 (above that a lock time is a date). Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 500_000_000:
        raise InvalidInput(field, "not a block height", "an integer from 0 to 499999999")
    return Height(value)


def unix_time(value: object, field: str) -> UnixTime:
    """Check a date from outside: seconds since 1970, at least 500,000,000, below 2^32. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool) or not 500_000_000 <= value < 1 << 32:
        raise InvalidInput(field, "not a date in seconds since 1970", "an integer from 500000000 to 4294967295")
    return UnixTime(value)
