"""Which competitions are looked at next: those with the most urgent news, with a share kept for the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator.ports.store import News

GROUP: Final = 8
"""Competitions that are applied in one transaction: they share its wait for the disk."""
RESERVED: Final = 4
"""Every fourth place goes to a less urgent class, in turn."""


class Turns:
    """Remembers whose turn it is."""

    def __init__(self) -> None:
        self._places = 0
        self._lower = 0

    def choose(self, news: Sequence[News], size: int = GROUP) -> list[str]:
        """Lanes, at most `size`; of a class the one that waits longest first."""
        classes: dict[int, list[str]] = {}
        for one in sorted(news, key=lambda one: (one.prio, one.seq)):
            classes.setdefault(one.prio, []).append(one.lane)
        chosen: list[str] = []
        while classes and len(chosen) < size:
            prio = self._class(sorted(classes))
            lane = classes[prio].pop(0)
            if not classes[prio]:
                del classes[prio]
            if lane not in chosen:
                chosen.append(lane)
        return chosen

    def _class(self, waiting: Sequence[int]) -> int:
        first, *lower = waiting
        self._places += 1
        if not lower or self._places % RESERVED:
            return first
        self._lower += 1
        return lower[self._lower % len(lower)]
