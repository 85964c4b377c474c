"""Which due duties get the free slots of each channel. Pure: no clock, no store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from coordinator.domain.duties import Channel, Urgency
from coordinator.ports.leasing import Due

RESERVED: Final = 4
"""Every fourth slot of a channel goes to a less urgent class, in turn."""
DEFAULT_LIMITS: Final[Mapping[str, int]] = {
    Channel.ORACLE.value: 4,
    Channel.KEYMELD.value: 10,
    Channel.LIGHTNING.value: 16,
    Channel.CHAIN.value: 8,
    Channel.LOCAL.value: 2,
    Channel.NOTIFY.value: 2,
    Channel.WATCH.value: 64,
}
Allowed = Callable[[str, int], int]
"""(channel, free slots) → how many of them may be used now."""


IN_TURN: Final = frozenset({Channel.LOCAL.value})
"""Duties of one competition that must not overlap: coins that an attempt reserves a moment after they were given back
would stay reserved for ever. An attempt that nobody wants any more counts until it has ended.
"""


def fair_share(channel: str, limit: int) -> int:
    """The most slots of a channel that one competition gets: half of them, so that the next one finds one free."""
    return 1 if channel in IN_TURN else max(1, (limit + 1) // 2)


class Slots:
    """Slots of every channel: taken when a duty starts, given back when it ends."""

    def __init__(self, limits: Mapping[str, int] = DEFAULT_LIMITS) -> None:
        """`limits`: attempts at a time, by channel."""
        self._limits = limits
        self._taken: Counter[str] = Counter()
        self._lanes: Counter[tuple[str, str]] = Counter()
        self._turn: Counter[str] = Counter()
        self._lower: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """Attempts that run now."""
        return self._taken.total()

    def free(self, allowed: Allowed) -> Mapping[str, int]:
        """Channels with slots to give, and how many."""
        free = {channel: allowed(channel, limit - self._taken[channel]) for channel, limit in self._limits.items()}
        return {channel: slots for channel, slots in free.items() if slots > 0}

    @property
    def full(self) -> Mapping[str, Collection[str]]:
        """Competitions that have their share of a channel."""
        found: dict[str, set[str]] = {}
        for (channel, lane), count in self._lanes.items():
            if count >= fair_share(channel, self._limits[channel]):
                found.setdefault(channel, set()).add(lane)
        return found

    def start(self, channel: str, lane: str) -> None:
        """A slot is taken."""
        self._taken[channel] += 1
        self._lanes[channel, lane] += 1

    def end(self, channel: str, lane: str) -> None:
        """A slot is given back."""
        self._taken[channel] -= 1
        self._lanes[channel, lane] -= 1
        if not self._lanes[channel, lane]:
            del self._lanes[channel, lane]

    def choose(self, due: Iterable[Due], free: Mapping[str, int], probing: Collection[str] = ()) -> list[str]:
        """Ids for the free slots. On a channel that is `probing` the one whose delay costs most, and no other."""
        channels: dict[str, list[Due]] = {}
        for duty in due:
            channels.setdefault(duty.channel, []).append(duty)
        chosen: list[str] = []
        for channel, duties in channels.items():
            if channel in probing:
                chosen.append(min(duties, key=_cost).id)
            else:
                chosen.extend(self._of_channel(channel, duties, free.get(channel, 0)))
        return chosen

    def _of_channel(self, channel: str, duties: Sequence[Due], free: int) -> Iterable[str]:
        lanes = Counter({lane: count for (of, lane), count in self._lanes.items() if of == channel})
        left = list(duties)
        share = fair_share(channel, self._limits[channel])
        while free and (left := [duty for duty in left if lanes[duty.lane] < share]):
            urgency = self._class(channel, {duty.urgency for duty in left})
            # Who has least gets next; among equals who waits longest.
            taken = min(
                (duty for duty in left if duty.urgency == urgency), key=lambda duty: (lanes[duty.lane], duty.due_at)
            )
            left.remove(taken)
            lanes[taken.lane] += 1
            free -= 1
            yield taken.id

    def _class(self, channel: str, waiting: Collection[Urgency]) -> Urgency:
        """The most urgent class, every fourth time a less urgent one in turn."""
        first, *lower = sorted(waiting)
        self._turn[channel] += 1
        if not lower or self._turn[channel] % RESERVED:
            return first
        self._lower[channel] += 1
        return lower[self._lower[channel] % len(lower)]


def _cost(duty: Due) -> tuple[bool, Urgency, float]:
    return not duty.protective, duty.urgency, duty.due_at
