"""Which daemon ends when: the same seed makes the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MOST_KILLS = 4
LONGEST_DELAY_SECONDS, LONGEST_AWAY_SECONDS = 3.0, 3.0
MOST_PLACES = 2


class Victim(StrEnum):
    """What is killed (SIGKILL) and started again."""

    BITCOIND = "bitcoind"
    LND_COORDINATOR = "lnd-coordinator"
    LND_ROUTER = "lnd-router"
    LND_PLAYER = "lnd-player"
    COORDINATOR = "coordinator"
    KEYMELD = "keymeld"
    ORACLE = "oracle"


class Phase(StrEnum):
    """A part of a competition, in the order in which they come."""

    SELLING = "selling"
    CLOSING = "closing"
    FUNDING = "funding"
    RESULT = "result"
    PAYING = "paying"


PHASES = tuple(Phase)


@dataclass(frozen=True, slots=True)
class Kill:
    """One daemon, killed so many seconds after a phase began and away for so long."""

    phase: Phase
    victim: Victim
    delay: float
    away: float

    def __str__(self) -> str:
        return f"{self.victim}@{self.phase}"


@dataclass(frozen=True, slots=True)
class Round:
    """One competition of the soak."""

    number: int
    places: int
    kills: tuple[Kill, ...]

    def of(self, phase: Phase) -> tuple[Kill, ...]:
        """The kills of a phase, one after another."""
        return tuple(kill for kill in self.kills if kill.phase is phase)


def plan(rounds: int, seed: int, kills: int = MOST_KILLS) -> tuple[Round, ...]:
    """So many competitions with one to `kills` kills each. All daemons die equally often, give or take one."""
    chance = random.Random(seed)
    victims = _in_turn(chance)
    return tuple(_round(number, chance, victims, kills) for number in range(1, rounds + 1))


def _round(number: int, chance: random.Random, victims: Iterator[Victim], most: int) -> Round:
    chosen = [_kill(chance, next(victims)) for _ in range(chance.randint(1, most))]
    in_order = sorted(chosen, key=lambda kill: PHASES.index(kill.phase))
    return Round(number, chance.randint(1, MOST_PLACES), tuple(in_order))


def _kill(chance: random.Random, victim: Victim) -> Kill:
    phase = chance.choice(PHASES)
    return Kill(phase, victim, chance.uniform(0, LONGEST_DELAY_SECONDS), chance.uniform(0, LONGEST_AWAY_SECONDS))


def _in_turn(chance: random.Random) -> Iterator[Victim]:
    """Every victim once in random order, then again."""
    while True:
        yield from chance.sample(list(Victim), len(Victim))


def told(kills: tuple[Kill, ...]) -> str:
    """One line of a round's kills."""
    return ", ".join(map(str, kills))
