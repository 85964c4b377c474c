"""`python -m tests.harness.sim`: the whole product on a virtual clock, its dependencies away, its competitions failing.

Prints a table; 1 when a rule was broken. The same arguments give the same runs.
"""

from __future__ import annotations

import argparse
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Final

import structlog

from tests.harness.sim import lanes, outages, payout, prompt, returns
from tests.harness.sim.course import Course, Phase
from tests.harness.sim.links import Manner
from tests.harness.sim.world import DEPENDENCIES, SimApp, simulate

LANES: Final = 21
QUEUE: Final = 60
"""Three times as many as may close at once: how long one closing waits for its answers is no pace."""
SLOW_SHARE: Final = 0.5
HANGING_SHARE: Final = 1.1
TURN_SECONDS: Final = 1.0
"""A look of the coordinator more or less is no delay."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    text: str
    violations: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'WRONG' if self.violations else 'ok   '} {self.text}{''.join(f'; {v}' for v in self.violations)}"


Job = tuple[str, Callable[[], Line]]


def prompt_line() -> Line:
    """G12."""
    found = simulate(prompt.play, seed="prompt")
    slowest = max(found.steps, key=lambda step: step.seconds)
    return Line(
        f"prompt     slowest of {len(found.steps)} steps: {slowest.state}, {slowest.seconds:.1f} s", found.violations
    )


def outage_line(outage: outages.Outage) -> Line:
    """G13."""
    report = outages.run(outage)
    return Line(f"outage     {report.text}", report.violations)


def return_line(number: int) -> Line:
    """G14; by number, since a scene cannot be sent to another process."""
    failure = returns.FAILURES[number]
    found = simulate(lambda app: returns.play(app, failure), seed=failure.name, coins=failure.coins)
    return Line(f"return     {failure.state:<19}{failure.name}", found)


def hanging_line() -> Line:
    """One session hangs, all others go on as if it did not."""
    alone = max(simulate(lambda app: lanes.undisturbed(app, LANES), seed="lanes").done)
    found = simulate(lambda app: lanes.with_hanging_session(app, LANES), seed="lanes")
    slowest = max(found.done)
    wrong = (f"{slowest:.1f} s",) if slowest > alone * HANGING_SHARE + TURN_SECONDS else ()
    return Line(f"hanging    {len(found.done)} others signed within {slowest:.1f} s, undisturbed {alone:.1f} s", wrong)


def slow_line() -> Line:
    """Half a second more on every call costs less than half of what gets done."""
    alone = max(simulate(lambda app: lanes.undisturbed(app, QUEUE), seed="lanes").done)
    slow = max(simulate(lambda app: lanes.with_slow_services(app, QUEUE), seed="lanes").done)
    share = alone / slow
    wrong = (f"{share:.0%} of the pace",) if share < SLOW_SHARE else ()
    return Line(f"slow       {QUEUE} closings within {slow:.1f} s, undisturbed {alone:.1f} s, {share:.0%}", wrong)


async def faulty(app: SimApp) -> tuple[str, ...]:
    """A whole competition under single faults; the rules that were broken."""
    course = Course(app)
    await course.create()
    await course.pass_all()
    books = sum((await course.finish()).values())
    paid = sum(state == "PAID" for state in course.prizes.values())
    rules = {f"{paid} prizes were paid": paid != 1, f"the books differ by {books} msat": books != 0}
    return tuple(text for text, broken in rules.items() if broken)


def faulty_line(seed: str, percent: float) -> Line:
    """H-FAULT, with tasks in an order of the seed's."""
    found = simulate(faulty, seed=seed, faults=percent, shuffled=True)
    return Line(f"faults     {percent:g} % of all calls, seed {seed}", found)


def payout_line() -> Line:
    """G15."""
    found = simulate(payout.play, seed="payout")
    paid, asked = found.payments.total(), found.answers.total()
    what = f"{asked} requests, sent {found.sends} times, {found.lost.total()} answers lost: {paid} payment"
    return Line(f"payout     {what}, {found.state} after {found.seconds:.1f} s", found.violations)


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Everything that was asked for."""
    table = outages.table(options.spans, options.services, options.phases, options.manners)
    parts: dict[str, list[Job]] = {
        "prompt": [("prompt", prompt_line)],
        "outages": [(str(one), partial(outage_line, one)) for one in table],
        "returns": [(one.name, partial(return_line, number)) for number, one in enumerate(returns.FAILURES)],
        "faults": [
            (f"seed {n}", partial(faulty_line, f"{options.seed}/{n}", options.faults)) for n in range(options.seeds)
        ],
        "payout": [("payout", payout_line)],
        "lanes": [("hanging", hanging_line), ("slow", slow_line)],
    }
    for part in options.only:
        yield from parts[part]


def play(job: Job) -> Line:
    """One run; a scenario that could not be played to its end is a violation."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name, call = job
    try:
        return call()
    except Exception as error:
        return Line(name, (f"{type(error).__name__}: {error}", traceback.format_exc(limit=-3)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play everything; 1 if a rule was broken."""
    options = _options(arguments)
    began, wrong, count = time.monotonic(), 0, 0
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for line in pool.map(play, jobs(options)):
            print(line, flush=True)
            count += 1
            wrong += bool(line.violations)
    print(f"{count} runs, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def _manner(name: str) -> Manner:
    try:
        return Manner[name.upper()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{name} is none") from None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev chaos --sim", description=__doc__)
    parts = ("prompt", "payout", "outages", "returns", "faults", "lanes")
    parser.add_argument("--only", nargs="+", default=parts, choices=parts)
    parser.add_argument("--spans", nargs="+", type=float, default=outages.SPANS, metavar="SECONDS")
    parser.add_argument("--services", nargs="+", default=DEPENDENCIES, choices=DEPENDENCIES)
    parser.add_argument("--phases", nargs="+", type=Phase, default=tuple(Phase), choices=tuple(Phase))
    parser.add_argument(
        "--manners",
        nargs="+",
        type=_manner,
        default=(Manner.REFUSED,),
        metavar="NAME",
        help=", ".join(manner.name.lower() for manner in Manner),
    )
    parser.add_argument("--faults", type=float, default=15.0, metavar="PCT", help="share of faulty calls (default 15)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs with single faults (default 5)")
    parser.add_argument("--seed", default="sim")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default 2)")
    return parser.parse_args(arguments)
