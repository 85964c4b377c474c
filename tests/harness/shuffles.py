"""The order in which facts arrive decides nothing (gate G4): `python -m tests.harness.shuffles --count 20000`

Whole competitions are played in the small world, with trouble and without. Each is told again many times: the facts
that came while it was in one state arrive in another order, some of them twice, mixed with repeats of older ones, and
it is applied after any few of them. After each state, the state, the duties, the watches and the next moment to look
again must be those of the first telling. Where two facts under one key say nothing of their order (Fact.rank) the last
one counts, as one duty alone writes them: these keep their order, and no older one is repeated.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.json import encode

from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.states import Competition, Created
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import deadline, watched
from coordinator.domain.facts import Built, Fact, FactBook, Published
from coordinator.domain.lane import Lane
from coordinator.domain.lane import World as Seen
from coordinator.engine.codec import decode_state, encode_state
from coordinator_core.competition.terms import Terms
from tests.harness.traces import trace
from tests.support import lanes as b

STORIES = 60
STEPS = 25
Dice = random.Random
Picture = tuple[Any, ...]
Key = tuple[str, str]


def _key(fact: Fact) -> Key:
    return fact.kind(), fact.key


@dataclass(frozen=True)
class Chapter:
    """What came while a competition was in one state, and the world in which it left it."""

    facts: tuple[Fact, ...]
    before: Seen
    after: Seen


@dataclass(frozen=True)
class Story:
    """A competition as it was played: its chapters, and how it stood at the end of each."""

    terms: Terms
    chapters: tuple[Chapter, ...]
    pictures: tuple[Picture, ...]

    def unordered(self) -> frozenset[Key]:
        """Keys under which different facts have the same rank."""
        kinds: dict[tuple[Key, int], set[bytes]] = {}
        for fact in (fact for chapter in self.chapters for fact in chapter.facts):
            kinds.setdefault((_key(fact), fact.rank), set()).add(encode(fact))
        return frozenset(key for (key, _), told in kinds.items() if len(told) > 1)


def story(seed: int) -> Story:
    """A competition of the small world, told in order."""
    played = trace(seed, STEPS).played
    chapters = tuple(_chapters(played.history))
    return Story(played.terms, chapters, tuple(_tell(played.terms, chapters, _in_order)))


def _chapters(history: Sequence[Any]) -> Iterator[Chapter]:
    facts: list[Fact] = []
    before, state = history[0].seen, ""
    for moment in history:
        facts += moment.fresh
        if moment.state != state:
            yield Chapter(tuple(facts), before, moment.seen)
            facts, before, state = [], moment.seen, moment.state
    yield Chapter(tuple(facts), before, history[-1].seen)


Order = Callable[[Chapter, list[Fact]], list[list[Fact]]]
"""A chapter and all facts of earlier ones → what arrives together, one after the other."""


def _in_order(chapter: Chapter, earlier: list[Fact]) -> list[list[Fact]]:
    return [list(chapter.facts)]


def shuffled(dice: Dice, unordered: frozenset[Key]) -> Order:
    """Another order, repeats, and a few times at which the competition is applied."""

    def order(chapter: Chapter, earlier: list[Fact]) -> list[list[Fact]]:
        ordered = [fact for fact in earlier if _key(fact) not in unordered]
        repeats = dice.sample(ordered, min(len(ordered), 5))
        again = [fact for fact in chapter.facts if _key(fact) not in unordered and dice.random() < 0.5]
        facts = [*chapter.facts, *repeats, *again]
        dice.shuffle(facts)
        in_turn = iter([fact for fact in chapter.facts if _key(fact) in unordered])
        facts = [next(in_turn) if _key(fact) in unordered else fact for fact in facts]
        # A duty writes it under its fence before anything leaves: what would recall the funding ends that duty first,
        # and then it is not written any more. After a recall it cannot arrive.
        facts.sort(key=lambda fact: fact.kind() != Built.kind())
        cuts = sorted(dice.randrange(len(facts) + 1) for _ in range(dice.randrange(3)))
        return [facts[start:end] for start, end in zip([0, *cuts], [*cuts, len(facts)], strict=True)]

    return order


def _tell(terms: Terms, chapters: Sequence[Chapter], order: Order) -> Iterator[Picture]:
    book, earlier = FactBook(), list[Fact]()
    state: Competition = Created()
    for chapter in chapters:
        *first, last = order(chapter, earlier)
        for facts in first:
            _put(book, facts)
            state = _fixpoint(state, _lane(terms, book, chapter.before))
        _put(book, last)
        lane = _lane(terms, book, chapter.after)
        state = _fixpoint(state, lane)
        yield _picture(state, lane)
        earlier += chapter.facts


def _put(book: FactBook, facts: Sequence[Fact]) -> None:
    for fact in facts:
        book.put(fact)


def _lane(terms: Terms, book: FactBook, seen: Seen) -> Lane:
    return Lane(b.LANE, terms if book.get(Published) else None, book, seen)


def _fixpoint(state: Competition, lane: Lane) -> Competition:
    while (step := advance(state, lane)) is not None:
        state = step.state
    return state


def _picture(state: Competition, lane: Lane) -> Picture:
    duties = {duty.id(b.LANE): duty for duty in wanted(state, lane)}
    look = watched(state, lane)
    kept = decode_state(encode_state(state))
    return kept, duties, dict(look.transactions), dict(look.outpoints), deadline(state, lane)


def diverges(told: Story, seed: int) -> str | None:
    """Where another telling comes to something else; None when it does not."""
    again = _tell(told.terms, told.chapters, shuffled(Dice(seed), told.unordered()))
    for number, (picture, other) in enumerate(zip(told.pictures, again, strict=True)):
        if picture != other:
            what = ("state", "duties", "transactions", "outpoints", "deadline")
            differing = [name for name, left, right in zip(what, picture, other, strict=True) if left != right]
            return f"chapter {number}: {', '.join(differing)}: {picture[0]} and {other[0]}"
    return None


def main() -> int:
    """Exit code 1 when a telling diverges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    began = time.perf_counter()
    stories = [story(seed + number) for number in range(min(STORIES, given.count))]
    diverged = 0
    for number in range(given.count):
        reason = diverges(stories[number % len(stories)], seed + number)
        if reason is not None:
            diverged += 1
            print(f"story {seed + number % len(stories)}, shuffle {seed + number}: {reason}", file=sys.stderr)
    facts = sum(len(chapter.facts) for told in stories for chapter in told.chapters)
    print(
        f"{given.count} shuffles of {len(stories)} competitions ({facts} facts) from seed {seed} in "
        f"{time.perf_counter() - began:.0f} s: {diverged} diverged"
    )
    return 1 if diverged else 0


if __name__ == "__main__":
    sys.exit(main())
