"""Each dependency away for a while in each phase: does every competition get to its end, and how soon after? (G13)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.harness.sim.course import BEGINS_WITH, Course, Phase, blocks_come
from tests.harness.sim.links import Manner
from tests.harness.sim.world import DEPENDENCIES, SimApp, simulate

SPANS: Final = (30.0, 1_800.0)
RESUMED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A service is away from the beginning of a phase on."""

    service: str
    phase: Phase
    seconds: float
    manner: Manner = Manner.REFUSED


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a competition that met an outage."""

    outage: Outage
    state: str
    resumed: float
    """Virtual seconds from the end of the outage until the aim of the phase was reached; 0 when it was during it."""
    attempts: int
    paid: int
    """Prizes that were paid."""
    books: int
    """Sum of all changes in the books, in millisatoshi."""

    @property
    def violations(self) -> tuple[str, ...]:
        """Rules that were broken."""
        rules = {
            f"it ended {self.state}": self.state != "completed",
            f"it took {self.resumed:.1f} s to go on": self.resumed > RESUMED_SECONDS,
            f"{self.paid} prizes were paid": self.paid != 1,
            f"the books differ by {self.books} msat": self.books != 0,
        }
        return tuple(text for text, broken in rules.items() if broken)

    @property
    def text(self) -> str:
        """As the table shows it."""
        o = self.outage
        what = f"{o.service:<10}{o.manner.value:<20}{o.seconds:>6.0f} s  {o.phase.value:<12}"
        return f"{what}{self.state:<10} on after {self.resumed:>5.1f} s, attempt {self.attempts}"


async def play(app: SimApp, outage: Outage) -> Report:
    """One competition from its draft to its end, with an outage on the way. Blocks come as ever during it."""
    course = Course(app)
    await course.create()
    back = 0.0
    for phase in Phase:
        if phase is not outage.phase:
            await course.pass_through(phase)
            continue
        async with blocks_come(app):
            away = asyncio.create_task(_away(app, course, outage))
            await course.pass_through(phase)
            back = await away
    changes = await course.finish()
    return Report(
        outage=outage,
        state=app.journal.state(course.played.id),
        resumed=max(0.0, course.reached[outage.phase] - back),
        attempts=await app.attempt(course.played),
        paid=sum(state == "PAID" for state in course.prizes.values()),
        books=sum(changes.values()),
    )


async def _away(app: SimApp, course: Course, outage: Outage) -> float:
    """The outage; when it was over."""
    first = BEGINS_WITH.get(outage.phase)
    if first is not None:
        await app.journal.until_reached(course.played.id, first)
    return await app.outage(outage.service, outage.seconds, outage.manner)


def run(outage: Outage, seed: str = "outage") -> Report:
    """On a machine of its own."""
    return simulate(lambda app: play(app, outage), seed=f"{seed}/{outage.service}/{outage.phase}/{outage.seconds}")


def table(
    spans: Sequence[float] = SPANS,
    services: Sequence[str] = DEPENDENCIES,
    phases: Sequence[Phase] = tuple(Phase),
    manners: Sequence[Manner] = (Manner.REFUSED,),
) -> list[Outage]:
    """Every combination."""
    return [Outage(s, p, span, m) for m in manners for span in spans for s in services for p in phases]
