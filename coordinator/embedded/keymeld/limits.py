"""Limits of generation A (keymeld sections 2.1, 4.1, 4.5). Lengths in bytes, times in seconds."""

from __future__ import annotations

from typing import Final

BODY_BYTES: Final = 2 * 1024 * 1024
"""Of a request body, compressed and decompressed."""
MINIMUM_PARTICIPANTS: Final = 2
MAXIMUM_PARTICIPANTS: Final = 1000
MAXIMUM_SUBSETS: Final = 200
MINIMUM_SUBSET_MEMBERS: Final = 2
MAXIMUM_BATCH_ITEMS: Final = 100
DEFAULT_SIGNING_SESSIONS: Final = 100
MAXIMUM_TIMEOUT: Final = 86_400
HEADER_MAXIMUM_AGE: Final = 300
HEADER_MAXIMUM_AHEAD: Final = 30
KEYGEN_RETENTION: Final = 48 * 3600
"""After this a keygen family is dropped, completed or not."""
