"""What the benches of the engine look at: when a lane was applied, when a duty was started, how slow the disk is."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from coordinator.domain.facts import Fact, NeedsOperator
from coordinator.engine.observer import Unobserved
from coordinator.ports.leasing import DutyRow
from tests.support.engines import Bench

EVENTS_A_SECOND: Final = 20
LANES: Final = 60
Row = Mapping[str, float]


class Moments(Unobserved):
    """When a lane was applied and a duty was started."""

    def __init__(self) -> None:
        self.applied_at: dict[str, float] = {}
        self.first_applied_at: dict[str, float] = {}
        self.claimed_at: dict[str, float] = {}
        self.changed = asyncio.Event()

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """Also for a lane without a step: its news was looked at."""
        self.applied_at[lane] = time.perf_counter()
        self.first_applied_at.setdefault(lane, self.applied_at[lane])
        self.changed.set()

    def claimed(self, row: DutyRow) -> None:
        """The first time counts."""
        self.claimed_at.setdefault(row.id, time.perf_counter())
        self.changed.set()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Raises TimeoutError after five minutes."""
        async with asyncio.timeout(300):
            while not ready():
                self.changed.clear()
                await self.changed.wait()


class Reached(Moments):
    """Takes a lane off the list when it reached a state."""

    def __init__(self, state: str, waiting: set[str]) -> None:
        super().__init__()
        self._state, self._waiting = state, waiting

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """See Moments."""
        super().applied(lane, states)
        if self._state in states:
            self._waiting.discard(lane)


@asynccontextmanager
async def bench() -> AsyncGenerator[Bench]:
    """A database of its own."""
    with tempfile.TemporaryDirectory(prefix="engine-") as place:
        async with Bench.open(Path(place) / "coordinator.db") as opened:
            yield opened


def names(count: int) -> list[str]:
    """Of lanes."""
    return [f"lane-{number}" for number in range(count)]


async def pace(began: float, turn: int) -> None:
    """Waits until it is the turn of an event, whether the one before was dealt with or not."""
    await asyncio.sleep(max(0.0, began + turn / EVENTS_A_SECOND - time.perf_counter()))


def percentile(values: Sequence[float], number: int) -> float:
    """Of at least two values."""
    return quantiles(values, n=100, method="inclusive")[number - 1]


def one_fsync(file: Any) -> float:
    """Milliseconds, of a page as the write-ahead log writes it."""
    file.write(os.urandom(4_120))
    began = time.perf_counter()
    os.fsync(file.fileno())
    return (time.perf_counter() - began) * 1e3


def note(number: int) -> Fact:
    """Something that is seen and changes no state."""
    return NeedsOperator(topic=f"note-{number}", reason="seen", resume="nothing")
