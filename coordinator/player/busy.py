"""Servers that say "later": how long they ask to be left alone."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Final

TOO_MANY_REQUESTS: Final = 429
TRIES: Final = 4
"""How often a request is made in all, while its server answers 429 and names a pause: it has done nothing then."""
LONGEST_WAIT: Final = 60.0
"""Seconds: the longest pause that a server may ask for. A hostile one stops no player for longer."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date; None when it is missing or neither."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def pause_of(status: int, wanted: float | None) -> float | None:
    """The pause before the same request is made again; None when it is not to be made again."""
    again = status == TOO_MANY_REQUESTS and wanted is not None and wanted <= LONGEST_WAIT
    return wanted if again else None
