"""Several competitions side by side: one that hangs must not delay the others, slow services must not stop any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.embedded.keymeld.gateway.faults import Silent
from tests.harness.sim.course import Course, Phase
from tests.harness.sim.links import Manner
from tests.harness.sim.world import DEPENDENCIES, SimApp, now

SIGNED = ("funding_ready", "funding_broadcasted")


@dataclass(frozen=True, slots=True)
class Closing:
    """How long each competition took from the closing time to its signed contract; None: it hangs."""

    seconds: tuple[float | None, ...]

    @property
    def done(self) -> list[float]:
        """Of those that got there."""
        return [one for one in self.seconds if one is not None]


async def sell(app: SimApp, lanes: int, players: int) -> list[Course]:
    """So many competitions with held tickets; they share a chain, and so their dates."""
    for _ in range(lanes):
        # A funding holds its coin back until it confirms: with a single one the others would wait for the first.
        await app.fund_operator()
    courses = [Course(app) for _ in range(lanes)]
    now_ = await app.chain.refresh()
    for course in courses:
        await course.create(from_=now_, entries=players)
    for course in courses:
        await course.pass_through(Phase.SELLING)
    return courses


async def close(app: SimApp, courses: Sequence[Course], hanging: int = 0) -> Closing:
    """The closing time comes for all; until all but the hanging have a signed contract."""
    began = now()
    await app.close_entries(courses[0].played)
    playing = [asyncio.create_task(app.keep_appointments(course.played)) for course in courses]
    waiting = [asyncio.create_task(_signed(app, course)) for course in courses]
    pending = set(waiting)
    while len(pending) > hanging:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    ends = [task.result() if task.done() else None for task in waiting]
    for task in (*waiting, *playing):
        task.cancel()
    await asyncio.gather(*waiting, *playing, return_exceptions=True)
    return Closing(tuple(None if end is None else end - began for end in ends))


async def _signed(app: SimApp, course: Course) -> float:
    return await app.journal.until_reached(course.played.id, "funding_ready")


async def with_hanging_session(app: SimApp, lanes: int, players: int = 2) -> Closing:
    """Enclaves never begin with one of the sessions."""
    courses = await sell(app, lanes, players)
    gateway = app.sim.keymeld.gateway
    assert gateway is not None
    gateway.services.faults.add(Silent(operation="keygen", times=1))
    return await close(app, courses, hanging=1)


async def undisturbed(app: SimApp, lanes: int, players: int = 2) -> Closing:
    """The same without any trouble."""
    return await close(app, await sell(app, lanes, players))


async def with_slow_services(app: SimApp, lanes: int, players: int = 2) -> Closing:
    """Every call to every dependency takes half a second longer."""
    courses = await sell(app, lanes, players)
    for name in DEPENDENCIES:
        for link in app.dependency(name).links:
            link.break_off(Manner.SLOW)
    return await close(app, courses)
