"""Loops under supervision: one that dies is started again after a growing pause, its siblings go on."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from coordinator.engine import engine as engine_module
from coordinator.engine.engine import FIRST_PAUSE, LONGEST_PAUSE, Engine, _supervise
from coordinator.engine.timers import TimerLoop
from tests.support import lanes as b
from tests.support.keymeld_book import BookKeymeld


class Crash(Exception):
    """What a defect of ours looks like."""


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    asked: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr(engine_module.asyncio, "sleep", at_once)
    return asked


class Child:
    """Ends `times` times in the same way, then runs on."""

    def __init__(self, times: int, end: Callable[[], None]) -> None:
        self.left, self.end = times, end
        self.started = 0
        self.steady = asyncio.Event()

    async def __call__(self) -> None:
        self.started += 1
        if self.left:
            self.left -= 1
            self.end()
            return
        self.steady.set()
        await asyncio.Event().wait()


def crash() -> None:
    raise Crash("a defect")


def end() -> None:
    return


async def supervised(*children: Child) -> None:
    tasks = [asyncio.create_task(_supervise(f"loop {n}", child)) for n, child in enumerate(children)]
    async with asyncio.timeout(60):
        for child in children:
            await child.steady.wait()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)


@pytest.mark.parametrize("how", [crash, end])
async def test_a_loop_that_ended_is_started_again(pauses: list[float], how: Callable[[], None]) -> None:
    child = Child(3, how)
    await supervised(child)
    assert child.started == 4


async def test_the_pause_doubles_up_to_the_longest(pauses: list[float]) -> None:
    await supervised(Child(12, crash))
    expected = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**n) for n in range(12)]
    assert pauses == pytest.approx(expected)
    assert pauses[-1] == LONGEST_PAUSE


async def test_a_loop_that_lived_long_starts_again_with_the_first_pause(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)

    def outlive() -> None:
        nonlocal ahead
        if len(pauses) == 3:
            ahead += LONGEST_PAUSE + 1
        crash()

    await supervised(Child(5, outlive))
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.1, 0.2])


async def test_siblings_of_a_loop_that_keeps_dying_go_on(pauses: list[float]) -> None:
    dying, steady = Child(20, crash), Child(0, end)
    await supervised(dying, steady)
    assert steady.started == 1


async def test_the_engine_keeps_its_loops_alive(bench, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer loop that dies once: afterwards a lane is still applied by the others, and timers run again."""
    bench.services = dataclasses.replace(bench.services, keymeld=BookKeymeld(b.WALL))
    running: Callable[[TimerLoop], Awaitable[None]] = TimerLoop.run
    begun, again = 0, asyncio.Event()

    async def run(self: TimerLoop) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise Crash("a defect")
        again.set()
        await running(self)

    monkeypatch.setattr(TimerLoop, "run", run)
    engine = Engine(bench.services, poll_seconds=0.01)
    await engine.start()
    try:
        async with asyncio.timeout(20):
            await again.wait()
    finally:
        await engine.stop()
    assert begun == 2
    assert FIRST_PAUSE in pauses
