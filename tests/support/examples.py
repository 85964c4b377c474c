"""How many examples a sweep over hostile input draws, and whether they are drawn anew.

A commit is judged by the same examples each time. What new ones find is looked for apart: `TEST_EXAMPLES=fresh`.
"""

from __future__ import annotations

import os

SWITCH = "TEST_EXAMPLES"


def fresh() -> bool:
    """Whether examples and seeds are new in each run; nothing is left out then either."""
    return os.environ.get(SWITCH) == "fresh"


def everything() -> bool:
    """Whether nothing is left out, as in continuous integration."""
    return fresh() or os.environ.get(SWITCH) == "all"


def sweep(count: int) -> int:
    """`count` where TEST_EXAMPLES is "all" or "fresh"; elsewhere a third, and at least 50.
    Not for invariants of money: those draw the same everywhere."""
    return count if everything() else min(count, max(50, count // 3))
