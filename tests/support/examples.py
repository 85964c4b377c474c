"""How many examples a sweep over hostile input draws."""

from __future__ import annotations

import os

SWITCH = "TEST_EXAMPLES"


def everything() -> bool:
    """Whether nothing is left out, as in continuous integration."""
    return os.environ.get(SWITCH) == "all"


def sweep(count: int) -> int:
    """`count` where TEST_EXAMPLES is "all", as in continuous integration; elsewhere a third, and at least 50.
    Not for invariants of money: those draw the same everywhere."""
    return count if everything() else min(count, max(50, count // 3))
