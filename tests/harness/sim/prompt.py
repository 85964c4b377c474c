"""How soon each automatic step follows its cause when every dependency is well, and whether anything idles (G12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.harness.sim.course import Course, Phase
from tests.harness.sim.world import SimApp

PROMPT_SECONDS: Final = 3.0
IDLE: Final = "liveness_violations_total"


@dataclass(frozen=True, slots=True)
class Reached:
    """A state, and how long after its cause it was reached: the state before, or what the world did last."""

    state: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Promptness:
    """One competition without any trouble."""

    steps: tuple[Reached, ...]
    idle: float
    """How often the auditor found a competition without a reason to be idle."""
    books: int

    @property
    def violations(self) -> tuple[str, ...]:
        """Rules that were broken."""
        late = [f"{s.state} came {s.seconds:.1f} s late" for s in self.steps if s.seconds > PROMPT_SECONDS]
        idle = [f"{self.idle:g} liveness violations"] if self.idle else []
        return (*late, *idle, *([f"the books differ by {self.books} msat"] if self.books else []))


async def play(app: SimApp) -> Promptness:
    """From a draft to the end."""
    course = Course(app)
    await course.create()
    for phase in Phase:
        await course.pass_through(phase)
    changes = await course.finish()
    causes = sorted(course.began.values())
    steps: list[Reached] = []
    before = 0.0
    for step in app.journal.steps:
        cause = max([before, *(began for began in causes if began <= step.at)])
        steps.append(Reached(step.state, step.at - cause if steps else 0.0))
        before = step.at
    return Promptness(tuple(steps), await idle(app), sum(changes.values()))


async def idle(app: SimApp) -> float:
    """What the auditor counted. Raises AssertionError when it counts nothing at all."""
    lines = (await app.metrics()).splitlines()
    found = [float(line.split()[-1]) for line in lines if IDLE in line and not line.startswith("#")]
    assert found, "nobody counts liveness violations"
    return sum(found)
