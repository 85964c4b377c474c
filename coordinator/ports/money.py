"""What comparisons of the database with chain and Lightning read: everything that a competition took for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from coordinator.domain.facts import Fact, FactBook
from coordinator_core.units import UnixTime


class ReservedCoin(Struct, frozen=True):
    """A coin of the wallet that a competition reserved."""

    lane: str
    outpoint: str
    """TXID:VOUT."""


@dataclass(frozen=True, slots=True)
class OpenBook:
    """Some facts of a competition that is not over."""

    lane: str
    quarantined: str | None
    """Why it is stopped."""
    facts: FactBook
    confirmed: frozenset[str]
    """Txids of its transactions that are in the chain."""
    unreadable: str | None = None
    """Why the rest of its facts is not here: a row that this release cannot read."""


class MoneyReads(Protocol):
    """Reads over all competitions. None takes the write lock."""

    def open_books(self, kinds: Sequence[type[Fact]]) -> AsyncIterator[OpenBook]:
        """Facts of these kinds of every competition that is not over, or still has something to do; oldest first."""
        ...

    async def oldest_open(self) -> UnixTime | None:
        """When the oldest of these competitions was made (wall clock); None when there is none."""
        ...

    async def taken(self, resources: Collection[str]) -> frozenset[str]:
        """Which of these unique resources are somebody's."""
        ...

    async def reserved_coins(self) -> Sequence[ReservedCoin]:
        """Every reserved coin, by outpoint."""
        ...

    async def acted_on(self, act: str) -> frozenset[str]:
        """Subjects of every act of this name in the audit log."""
        ...
