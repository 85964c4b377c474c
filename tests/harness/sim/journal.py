"""What the engine did and when, on virtual time: heard from the engine itself, so nobody polls."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordinator.engine.observer import Unobserved
from coordinator.ports.leasing import DutyRow

ENDED: Final = frozenset({"completed", "cancelled", "failed"})
PATIENCE_SECONDS: Final = 3_600.0
EACH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """A lane reached a state."""

    at: float
    lane: str
    state: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A duty's outcome was committed."""

    at: float
    duty: str
    kind: str


class Journal(Unobserved):
    """See engine.observer.EngineObserver."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.steps: list[Step] = []
        self.completions: list[Ended] = []
        self._listeners: list[asyncio.Event] = []
        self._strikes: dict[tuple[str, str], Callable[[], None]] = {}

    def on(self, lane: str, state: str, strike: Callable[[], None]) -> None:
        """Call something once, at the instant a lane reaches a state: before anyone acts on it."""
        self._strikes[lane, state] = strike

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """See EngineObserver."""
        self.steps.extend(Step(self.now(), lane, state) for state in states)
        for state in states:
            if (strike := self._strikes.pop((lane, state), None)) is not None:
                strike()
        self._tell()

    def look(self, lane: str) -> str:
        """The state as the database has it. Raises AssertionError when the journal was told otherwise."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as database:
            [(state,)] = database.execute("SELECT state FROM state_row WHERE lane = ?", (lane,))
        assert state == self.state(lane), f"{lane} is {state}, the engine told of {self.state(lane)}"
        return str(state)

    def completed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self.completions.append(Ended(self.now(), row.id, row.kind))
        self._tell()

    def state(self, lane: str) -> str:
        """Where a lane is; "" before its first step."""
        return next((step.state for step in reversed(self.steps) if step.lane == lane), "")

    def reached(self, lane: str, state: str) -> float:
        """When a lane first reached a state. Raises AssertionError."""
        for step in self.steps:
            if (step.lane, step.state) == (lane, state):
                return step.at
        raise AssertionError(f"{lane} never was {state}: {[s.state for s in self.steps if s.lane == lane]}")

    async def until(
        self, lane: str, states: Sequence[str], *, each: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """Wait until a lane is in one of the states; a second between two calls of `each`. Raises AssertionError when
        it ended otherwise, or after an hour.
        """
        self.look(lane)
        limit = self.now() + PATIENCE_SECONDS
        while (state := self.state(lane)) not in states:
            if state in ENDED or self.now() >= limit:
                raise AssertionError(f"{lane} is {state}, {tuple(states)} was expected")
            if each is None:
                await self._wait(limit - self.now())
            else:
                # News would call it again at the same instant: a block is news itself.
                await each()
                await asyncio.sleep(EACH_SECONDS)
        return state

    async def until_reached(self, lane: str, state: str) -> float:
        """Wait until a lane was in a state, however briefly; when that was. Raises AssertionError after an hour."""
        limit = self.now() + PATIENCE_SECONDS
        while not any((step.lane, step.state) == (lane, state) for step in self.steps) and self.now() < limit:
            await self._wait(limit - self.now())
        return self.reached(lane, state)

    async def _wait(self, seconds: float) -> None:
        """Until there is news, at most so long. An event for each who waits: what one clears another must not miss."""
        news = asyncio.Event()
        self._listeners.append(news)
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return
        finally:
            self._listeners.remove(news)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener.set()

    @staticmethod
    def now() -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()
