"""Turns: at most so many competitions at once between the opening of their keymeld session and their funding.

Who is inside follows from the states in the database and is read from it at each question; only who asked lately is
remembered. One process owns a database, so nobody else admits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coordinator.domain.admission import ahead_of
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    EntriesSubmitted,
    EventCreated,
    FundingReady,
)
from coordinator.domain.facts import SessionOpen
from coordinator.engine import codec
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime

AT_ONCE: Final = 20
INSIDE: Final = tuple(
    str(state.__struct_config__.tag)
    for state in (EventCreated, AwaitingKeygen, EntriesSubmitted, AwaitingSigning, FundingReady)
)
"""States in which a competition that was admitted still is; one that has to try again keeps its place."""
FIRST_SECONDS, EACH_SECONDS, LONGEST_SECONDS = 1.0, 0.25, 30.0
FORGET_SECONDS: Final = 60.0
"""Who does not ask again for so long beyond its pause holds nobody up: its duty is dead, or a person looks at it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a question."""

    ahead: int
    """How many have to begin before; 0: it is its turn."""

    @property
    def pause(self) -> float:
        """Seconds until it asks again: soon when it is next, rarely when many are before it."""
        return min(LONGEST_SECONDS, FIRST_SECONDS + EACH_SECONDS * (self.ahead - 1))


class Turns:
    """Admits competitions to their closing. `clock` gives seconds that never go back."""

    def __init__(self, store: Store, clock: Callable[[], float], at_once: int = AT_ONCE) -> None:
        self._store = store
        self._clock = clock
        self._at_once = at_once
        self._inside: set[str] = set()
        self._waiting: dict[str, UnixTime] = {}
        self._until: dict[str, float] = {}

    async def load(self) -> None:
        """Who is inside, as the database says: before the first question of a process."""
        for lane in await self._store.going_in(INSIDE):
            record = await self._store.lane(lane)
            if record is None:
                continue
            state = codec.decode_state(record.state)
            waits = isinstance(state, EventCreated) or (
                isinstance(state, AwaitingKeygen) and record.facts.get(SessionOpen, state.attempt) is None
            )
            if not waits:
                self._inside.add(lane)

    async def ask(self, lane: str, sale_ended: UnixTime) -> Turn:
        """Whether a competition may open its session now. Who may is inside until it is funded, over or stopped."""
        known = self._inside | self._waiting.keys()
        gone = known - set(await self._store.going_in(INSIDE))
        # From here on nothing is awaited: two that ask at once are answered one after the other. Who was admitted while
        # the database was asked may be newer than its answer.
        self._inside -= gone
        now = self._clock()
        for name in [name for name, until in self._until.items() if name in gone or until < now]:
            self._forget(name)
        if lane in self._inside:
            return Turn(0)
        self._waiting[lane] = sale_ended
        turn = Turn(ahead_of(lane, self._waiting, self._at_once - len(self._inside)))
        if turn.ahead:
            self._until[lane] = now + turn.pause + FORGET_SECONDS
        else:
            self._forget(lane)
            self._inside.add(lane)
        return turn

    def _forget(self, lane: str) -> None:
        self._waiting.pop(lane, None)
        self._until.pop(lane, None)
