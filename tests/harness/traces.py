"""Random traces of a competition in the small world, many and uniform: `python -m tests.harness.traces --count 10000`

The property test draws the same acts, fewer, and shrinks what fails; here every example begins in a state of its own,
and the table at the end says how often each transition was taken.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

from tests.support import lanes as b
from tests.support.small_world.driver import EVERYBODY, Driver
from tests.support.small_world.judging import judge, judge_end
from tests.support.small_world.lightning import Sent
from tests.support.small_world.outside import Keymeld, Service
from tests.support.transitions import all_states, edges, tag

EDGES = edges()
STATES = [tag(state) for state in all_states()]
Dice = random.Random
Act = Callable[[Driver, Dice], None]


def _who(dice: Dice) -> str:
    return dice.choice(b.PLAYERS)


def _some(d: Driver, dice: Dice) -> None:
    d.progress({e for e in b.PLAYERS if dice.random() < 0.7})


def _all_but_one(d: Driver, dice: Dice) -> None:
    d.progress(EVERYBODY - {_who(dice)})


def _step(d: Driver, dice: Dice) -> None:
    dice.choice([d.claim, d.claim, d.act, d.act, d.commit])(dice.randrange(31))


def _answers(d: Driver, dice: Dice) -> None:
    d.world.keymeld, d.world.plans = dice.choice(list(Keymeld)), dice.random() < 0.7
    d.world.bad_keys = {_who(dice)} if dice.random() < 0.3 else set()


def _reorg(d: Driver, dice: Dice) -> None:
    depth = dice.choice([1, 1, 2, 2, 3, 4, 6])
    rivals = {dice.randrange(31) for _ in range(dice.randrange(4))}
    d.reorg(depth, rivals, lost=dice.random() < 0.3, late=dice.randrange(depth + 1))


ACTS: Mapping[str, tuple[int, Act]] = {
    "progress": (8, lambda d, dice: d.progress()),
    "some": (2, _some),
    "all but one": (3, _all_but_one),
    "work": (4, lambda d, dice: d.work()),
    "step": (8, _step),
    "kill": (1, lambda d, dice: d.crash()),
    "service": (3, lambda d, dice: d.service(dice.choice(list(Service)), away=dice.random() < 0.5)),
    "answers": (3, _answers),
    "player": (2, lambda d, dice: d.player(_who(dice), dice.choice(["reserve", "pay", "seal", "approve", "key"]))),
    "ask": (4, lambda d, dice: d.ask(_who(dice), atomic=dice.random() < 0.5, patient=dice.random() < 0.7)),
    "insist": (3, lambda d, dice: d.everybody_insists(atomic=dice.random() < 0.5)),
    "payment": (2, lambda d, dice: d.payment_ends(dice.randrange(31), dice.choice(list(Sent)[1:]))),
    "claim": (1, lambda d, dice: d.claim_on_chain(_who(dice))),
    "send": (2, lambda d, dice: d.somebody_sends(dice.randrange(31))),
    "forget": (1, lambda d, dice: d.forgotten(dice.randrange(31))),
    "hold": (1, lambda d, dice: d.hold_lost(dice.randrange(31))),
    "blocks": (4, lambda d, dice: d.blocks(dice.choice([1, 1, 2, 3, 6, 12, 18, 40, 145]), empty=dice.random() < 0.4)),
    "reorg": (2, _reorg),
    "time": (3, lambda d, dice: d.time(dice.choice([1, 60, 310, 610, 3_600, 40_000, 86_400]))),
    "cancel": (1, lambda d, dice: d.cancel(dice.choice(["operator", "alice", "bob"]))),
    "stop": (1, lambda d, dice: d.stopped(dice.random() < 0.4)),
}


class Broken(Exception):
    """A trace showed what none may show. `acts` lead there from the seed's beginning."""

    def __init__(self, seed: int, acts: list[str], reason: str) -> None:
        super().__init__(f"seed {seed}: {reason}\n  {', '.join(acts)}")


def trace(seed: int, steps: int) -> Driver:
    """One competition from its draft to its end. Raises Broken."""
    dice = Dice(seed)
    d = Driver.drafted(dice.choice([1, 3, 3, 3]), dice.choice([None, 0, 2, b.REFUND_ALL_OF_3]))
    acts: list[str] = []
    try:
        d.until(dice.choice(STATES))
        judge(d.played, EDGES)
        names, weights = list(ACTS), [weight for weight, _ in ACTS.values()]
        for name in dice.choices(names, weights, k=dice.randrange(steps)):
            acts.append(name)
            ACTS[name][1](d, dice)
            judge(d.played, EDGES)
        acts.append("end")
        d.let_it_end()
        judge(d.played, EDGES)
        judge_end(d.played)
    except Exception as error:
        raise Broken(seed, acts, f"{type(error).__name__}: {error}") from error
    return d


def main() -> int:
    """Exit code 1 when a trace is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=40, help="at most so many acts after the beginning")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    began, taken, ends, broken = time.perf_counter(), Counter[tuple[str, str]](), Counter[str](), 0
    for seed in range(first, first + given.count):
        try:
            played = trace(seed, given.steps).played
        except Broken as error:
            print(error, file=sys.stderr)
            broken += 1
            continue
        taken.update(set(played.edges))
        ends[tag(type(played.state))] += 1
    for before, after in sorted(EDGES):
        print(f"{taken[before, after]:7} {before} -> {after}")
    print(f"{given.count} traces from seed {first} in {time.perf_counter() - began:.0f} s; ended in {dict(ends)}")
    print(f"transitions taken: {len(taken)} of {len(EDGES)}; broken: {broken}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
