"""Who came to a closing and who did not: kept by player, since a bar holds over all competitions (money section 5)."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.facts.base import Fact
from coordinator_core.units import UnixTime


class Missed(Fact, frozen=True, kw_only=True, tag="missed"):
    """A player sealed in no attempt of a closing whose sealing window was over at `at` (wall clock)."""

    player: str
    """x-only Nostr key, hex."""
    attempt: int
    """The attempt out of which it was dropped."""
    at: UnixTime

    @property
    def key(self) -> str:
        return self.player


class Attended(Fact, frozen=True, kw_only=True, tag="attended"):
    """keymeld took a key that a player sealed, last at `at` (wall clock)."""

    repeatable: ClassVar[bool] = True
    player: str
    """x-only Nostr key, hex."""
    at: UnixTime

    @property
    def key(self) -> str:
        return self.player

    @property
    def rank(self) -> int:
        return self.at
