"""When a duty that failed is tried again."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 30.0
LEAST_SECONDS: Final = 0.05
_DOUBLINGS: Final = 10


def longest(failures: int) -> float:
    """The most that the pause may be after so many failures in a row: doubles from half a second up to thirty."""
    return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures, _DOUBLINGS))


def pause(failures: int) -> float:
    """Seconds until the next attempt after `failures` in a row before this one.

    Anywhere up to the longest one ("full jitter"): what failed together does not come back together. There is no last
    attempt: a duty ends when its competition does not want it any more.
    """
    return max(LEAST_SECONDS, random.uniform(0.0, longest(failures)))
