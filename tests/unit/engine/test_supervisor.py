"""Loops under supervision, on a clock that jumps: who dies or falls silent is started again, siblings go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from coordinator.engine.components import Child, ChildState
from coordinator.engine.supervisor import (
    FIRST_PAUSE,
    JITTER,
    LONGEST_PAUSE,
    MAX_RESTARTS,
    PROBE_SECONDS,
    STABLE_SECONDS,
    Plan,
    Supervisor,
)
from coordinator.engine.vitals import Vitals
from coordinator_core.errors import Misuse
from tests.harness.sim.loop import BEGINNING, VirtualLoop, run

SILENCE = 20.0


class Crash(Exception):
    """What a defect of ours looks like."""


@dataclass
class Loop:
    """A loop that beats each second until it is hit."""

    child: Child
    beat: Callable[[Child], None]
    lives: list[float] = field(default_factory=list)
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    hopeless: bool = False
    mute: bool = False
    deaf: bool = False

    async def __call__(self) -> None:
        self.lives.append(asyncio.get_running_loop().time())
        self.hit.clear()
        if self.hopeless:
            raise Crash(self.child.value)
        while not self.hit.is_set():
            if not self.mute:
                self.beat(self.child)
            await self._second()
        raise Crash(self.child.value)

    async def _second(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self.hit.wait()
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if not self.deaf:
                raise


class House:
    """Every loop of an engine, supervised."""

    def __init__(self) -> None:
        self.vitals = Vitals(clock=asyncio.get_running_loop().time)
        self.loops = {child: Loop(child, self.vitals.beat) for child in Child}
        self.plans = {c: Plan(SILENCE, critical=c in (Child.APPLY, Child.DUTIES)) for c in Child}
        self.supervisor = Supervisor(self.loops, self.plans, self.vitals)

    def state(self, child: Child) -> ChildState:
        return self.supervisor.state(child)

    def restarts(self) -> dict[Child, int]:
        return {child: len(loop.lives) - 1 for child, loop in self.loops.items() if len(loop.lives) > 1}


def lived(scene: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    """A scene in a house that began half a second ago, and that is empty afterwards."""

    async def whole() -> None:
        house = House()
        assert set(house.supervisor.states().values()) == {ChildState.STOPPED}
        house.supervisor.start()
        await asyncio.sleep(0.5)
        await scene(house)
        for loop in house.loops.values():
            loop.deaf = False
        await house.supervisor.stop(tuple(Child))
        assert set(house.supervisor.states().values()) == {ChildState.STOPPED}

    run(whole(), VirtualLoop())


@pytest.mark.parametrize("child", list(Child))
def test_a_child_killed_five_times_is_back_within_five_seconds_each_time(child: Child) -> None:
    async def scene(house: House) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            killed = loop.time()
            house.loops[child].hit.set()
            await asyncio.sleep(0.05)
            while house.state(child) is not ChildState.RUNNING:  # noqa: ASYNC110  (nobody waits here)
                await asyncio.sleep(0.01)
            assert loop.time() - killed < 5
        assert house.restarts() == {child: 5}
        assert all(house.supervisor.started(other) == BEGINNING for other in Child if other is not child)
        counted = house.vitals.meters.restarts._values
        assert {labels: count for labels, count in counted.items() if count} == {(child.value,): 5.0}

    lived(scene)


def test_pauses_double_up_to_the_sixth_crash_within_a_minute() -> None:
    async def scene(house: House) -> None:
        oracle = house.loops[Child.DEPENDENCIES]
        oracle.hopeless = True
        oracle.hit.set()
        # All five pauses end well before it, and the earliest probe comes after it.
        await asyncio.sleep(PROBE_SECONDS * (1 - JITTER) - 1)
        pauses = [after - before for before, after in zip(oracle.lives[1:], oracle.lives[2:], strict=False)]
        assert len(oracle.lives) == 1 + MAX_RESTARTS
        for number, pause in enumerate(pauses, start=1):
            expected = FIRST_PAUSE * 2**number
            assert expected * (1 - JITTER) <= pause <= expected * (1 + JITTER)

    lived(scene)


def test_the_hopeless_is_degraded_and_tried_slowly_for_ever() -> None:
    async def scene(house: House) -> None:
        hopeless = house.loops[Child.CHAIN]
        hopeless.hopeless = True
        hopeless.hit.set()
        await asyncio.sleep(10)
        seen = set()
        for _ in range(3_600):
            await asyncio.sleep(1)
            seen.add(house.state(Child.CHAIN))
        assert seen == {ChildState.DEGRADED}
        probes = [after - before for before, after in zip(hopeless.lives[7:], hopeless.lives[8:], strict=False)]
        assert 90 < len(probes) < 160
        assert all(PROBE_SECONDS * (1 - JITTER) <= pause <= PROBE_SECONDS * (1 + JITTER) for pause in probes)
        assert house.restarts().keys() == {Child.CHAIN}
        hopeless.hopeless = False
        await asyncio.sleep(PROBE_SECONDS * (1 + JITTER) + STABLE_SECONDS + 1)
        assert house.state(Child.CHAIN) is ChildState.RUNNING

    lived(scene)


def test_a_stable_life_is_a_fresh_start() -> None:
    async def scene(house: House) -> None:
        timers = house.loops[Child.RETENTION]
        for _ in range(12):
            timers.hit.set()
            await asyncio.sleep(STABLE_SECONDS + 1)
        pauses = [b - a - STABLE_SECONDS for a, b in zip(timers.lives[1:], timers.lives[2:], strict=False)]
        assert len(pauses) == 11
        assert all(pause < 1 + 2 * FIRST_PAUSE for pause in pauses)
        assert house.state(Child.RETENTION) is ChildState.RUNNING

    lived(scene)


def test_crashes_further_apart_than_the_window_never_degrade() -> None:
    async def scene(house: House) -> None:
        for _ in range(40):
            house.loops[Child.CHAIN].hit.set()
            await asyncio.sleep(15)
            assert house.state(Child.CHAIN) is not ChildState.DEGRADED
        assert house.restarts()[Child.CHAIN] > 10

    lived(scene)


def test_a_pause_is_never_longer_than_the_longest() -> None:
    async def scene(house: House) -> None:
        chain = house.loops[Child.CHAIN]
        while len(chain.lives) < 14:
            chain.hit.set()
            await asyncio.sleep(14)
        pauses = [b - a for a, b in zip(chain.lives, chain.lives[1:], strict=False)]
        assert max(pauses) <= LONGEST_PAUSE * (1 + JITTER) + 14

    lived(scene)


def test_a_critical_one_that_keeps_dying_ends_the_process() -> None:
    async def scene(house: House) -> None:
        ending = asyncio.create_task(house.supervisor.escalation())
        house.loops[Child.DUTIES].hopeless = True
        house.loops[Child.DUTIES].hit.set()
        async with asyncio.timeout(10):
            assert "duties" in await ending
        assert house.state(Child.DUTIES) is ChildState.STOPPED
        assert len(house.loops[Child.DUTIES].lives) == 1 + MAX_RESTARTS
        assert house.state(Child.APPLY) is ChildState.RUNNING

    lived(scene)


def test_the_silent_is_cancelled_and_started_again() -> None:
    async def scene(house: House) -> None:
        silent = house.loops[Child.APPLY]
        silent.mute = True
        await asyncio.sleep(SILENCE - 2)
        assert house.restarts() == {}
        await asyncio.sleep(5)
        silent.mute = False
        await asyncio.sleep(2)
        assert house.restarts() == {Child.APPLY: 1}
        assert house.state(Child.APPLY) is ChildState.RUNNING

    lived(scene)


def test_one_that_never_beat_is_starting_and_then_stuck() -> None:
    async def whole() -> None:
        house = House()
        house.loops[Child.TIMERS].mute = True
        house.supervisor.start()
        await asyncio.sleep(SILENCE - 1)
        assert house.state(Child.TIMERS) is ChildState.STARTING
        await asyncio.sleep(4)
        assert house.restarts() == {Child.TIMERS: 1}
        await house.supervisor.stop(tuple(Child))

    run(whole(), VirtualLoop())


def test_a_machine_that_slept_makes_nobody_stuck() -> None:
    async def scene(house: House) -> None:
        for _ in range(20):
            loop: Any = asyncio.get_running_loop()
            loop.sleep_through(3_600)
            await asyncio.sleep(2)
        assert house.restarts() == {}

    lived(scene)


def test_one_that_does_not_end_is_degraded_and_a_critical_one_escalates() -> None:
    async def scene(house: House) -> None:
        for child in (Child.CHAIN, Child.DUTIES):
            house.loops[child].mute = house.loops[child].deaf = True
        ending = asyncio.create_task(house.supervisor.escalation())
        await asyncio.sleep(SILENCE + 5)
        assert house.state(Child.CHAIN) is house.state(Child.DUTIES) is ChildState.DEGRADED
        assert not ending.done()
        async with asyncio.timeout(15):
            assert "duties loop is stuck" in await ending
        assert house.restarts() == {}

    lived(scene)


def test_who_is_cancelled_in_its_pause_is_stopped() -> None:
    async def scene(house: House) -> None:
        chain = house.loops[Child.CHAIN]
        chain.hopeless = True
        chain.hit.set()
        while house.state(Child.CHAIN) is not ChildState.BACKOFF:  # noqa: ASYNC110  (nobody waits here)
            await asyncio.sleep(0.01)
        await house.supervisor.stop((Child.CHAIN,))
        assert house.state(Child.CHAIN) is ChildState.STOPPED
        assert house.state(Child.APPLY) is ChildState.RUNNING

    lived(scene)


def test_one_that_does_not_end_is_left_behind_in_the_time_it_was_given() -> None:
    async def scene(house: House) -> None:
        chain, loop = house.loops[Child.CHAIN], asyncio.get_running_loop()
        chain.deaf = True
        began = loop.time()
        await house.supervisor.stop((Child.CHAIN, Child.TIMERS), 2.0)
        took, states = loop.time() - began, house.supervisor.states()
        chain.deaf = False
        chain.hit.set()
        assert took == 2.0
        assert states[Child.CHAIN] is states[Child.TIMERS] is ChildState.STOPPED
        assert states[Child.APPLY] is ChildState.RUNNING

    lived(scene)


@pytest.mark.parametrize("how", ["crash", "return"])
def test_a_loop_that_returns_died_as_well(how: str) -> None:
    async def whole() -> None:
        begun = 0

        async def ends() -> None:
            nonlocal begun
            begun += 1
            if how == "crash":
                raise Crash

        supervisor = Supervisor({Child.CHAIN: ends}, {Child.CHAIN: Plan(1)}, Vitals())
        supervisor.start()
        await asyncio.sleep(1)
        await supervisor.stop((Child.CHAIN,))
        assert begun > 3

    run(whole(), VirtualLoop())


def test_one_that_was_told_to_finish_may_end() -> None:
    async def scene(house: House) -> None:
        supervisor, duties = house.supervisor, house.loops[Child.DUTIES]
        asyncio.get_running_loop().call_later(3, duties.hit.set)
        assert await supervisor.ended(Child.DUTIES, 5)
        assert house.state(Child.DUTIES) is ChildState.STOPPED
        assert house.restarts() == {}
        assert not await supervisor.ended(Child.APPLY, 5)
        assert house.state(Child.APPLY) is ChildState.STOPPED

    lived(scene)


def test_supervision_that_is_broken_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(house: House) -> None:
        def broken(*_: object) -> None:
            raise BrokenPipeError

        house.vitals.meters.restarts.add = broken  # type: ignore[method-assign]
        house.loops[Child.ALARMS].hit.set()
        async with asyncio.timeout(5):
            assert "BrokenPipeError" in await house.supervisor.escalation()

    lived(scene)


def test_a_loop_without_plan_is_refused() -> None:
    with pytest.raises(Misuse, match="chain"):
        Supervisor({Child.CHAIN: asyncio.Event().wait}, {}, Vitals())  # type: ignore[dict-item]


def test_the_traceback_of_a_crash_is_in_the_log() -> None:
    with capture_logs() as lines:

        async def scene(house: House) -> None:
            house.loops[Child.CHAIN].hit.set()
            await asyncio.sleep(1)

        lived(scene)
    died = [line for line in lines if line["event"] == "loop died"]
    assert [line["loop"] for line in died] == ["chain"]
    assert isinstance(died[0]["exc_info"], Crash)
