"""Turns: at most so many closings at once, first in, first out by the end of the tickets' sale; none is forgotten."""

from __future__ import annotations

import asyncio
import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.duties import OpenSession
from coordinator.engine.duty import Again, Done, Task
from coordinator.engine.executors.registry import executors
from coordinator.engine.new_money import NewMoney
from coordinator.engine.turns import FORGET_SECONDS, LONGEST_SECONDS, Turn, Turns
from tests.support import lanes as b
from tests.support.attempt import ROSTER, Attempt

AT_ONCE = 20
CLOSING_SECONDS = 45.0


@dataclass
class Present:
    """Which lanes are between their event and their funding."""

    lanes: set[str] = field(default_factory=set)

    async def going_in(self, states: object) -> list[str]:
        return list(self.lanes)


def name(number: int) -> str:
    return f"lane-{number:03d}"


def test_who_is_next_asks_soon_and_nobody_never() -> None:
    assert Turn(1).pause <= 1.0
    pauses = [Turn(ahead).pause for ahead in range(1, 500)]
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_SECONDS


async def test_five_hundred_at_once_all_get_their_turn_in_order_and_never_more_than_twenty() -> None:
    present, now, rng = Present({name(n) for n in range(500)}), 0.0, random.Random(5)
    turns = Turns(present, lambda: now, AT_ONCE)  # type: ignore[arg-type]
    events = [(rng.random(), n, "ask") for n in range(500)]
    heapq.heapify(events)
    inside: set[int] = set()
    admitted: list[int] = []
    while events:
        now, number, what = heapq.heappop(events)
        if what == "funded":
            inside.remove(number)
            present.lanes.remove(name(number))
            continue
        turn = await turns.ask(name(number), number)  # type: ignore[arg-type]
        if turn.ahead:
            heapq.heappush(events, (now + turn.pause, number, "ask"))
            continue
        inside.add(number)
        admitted.append(number)
        assert len(inside) <= AT_ONCE
        heapq.heappush(events, (now + rng.uniform(0.5, 1.5) * CLOSING_SECONDS, number, "funded"))
    assert sorted(admitted) == list(range(500))
    # Who comes first, before anybody else asked, goes first; from then on the end of the sale counts.
    later = admitted[AT_ONCE:]
    assert max(abs(number - position) for position, number in zip(sorted(later), later, strict=True)) <= AT_ONCE
    assert now < 1.3 * 500 / AT_ONCE * CLOSING_SECONDS


async def test_who_is_inside_is_asked_nothing_and_keeps_its_place_for_another_attempt() -> None:
    present = Present({"a", "b"})
    turns = Turns(present, lambda: 0.0, 1)  # type: ignore[arg-type]
    assert (await turns.ask("b", b.CLOSE)).ahead == 0
    assert (await turns.ask("a", b.CLOSE)).ahead == 1
    assert (await turns.ask("b", b.CLOSE)).ahead == 0
    present.lanes = {"a"}
    assert (await turns.ask("a", b.CLOSE)).ahead == 0


async def test_who_is_admitted_while_an_older_answer_is_on_its_way_stays_inside() -> None:
    """The first one asked before the second was there: that the answer does not name it is no end of its closing."""
    asked, answer = asyncio.Event(), asyncio.Event()
    present = Present({"early"})

    class Slow:
        async def going_in(self, states: object) -> list[str]:
            found = await present.going_in(states)
            if not asked.is_set():
                asked.set()
                await answer.wait()
            return found

    turns = Turns(Slow(), lambda: 0.0, 1)  # type: ignore[arg-type]
    early = asyncio.create_task(turns.ask("early", b.CLOSE))
    await asked.wait()
    present.lanes.add("late")
    assert (await turns.ask("late", b.CLOSE)).ahead == 0
    answer.set()
    assert (await early).ahead == 1


async def test_who_does_not_ask_again_holds_nobody_up() -> None:
    now, present = 0.0, Present({"first", "second", "third"})
    turns = Turns(present, lambda: now, 1)  # type: ignore[arg-type]
    await turns.ask("first", 1)  # type: ignore[arg-type]
    assert (await turns.ask("second", 2)).ahead == 1  # type: ignore[arg-type]
    assert (await turns.ask("third", 3)).ahead == 2  # type: ignore[arg-type]
    present.lanes.remove("first")
    assert (await turns.ask("third", 3)).ahead == 1  # type: ignore[arg-type]
    now += FORGET_SECONDS + 10
    assert (await turns.ask("third", 3)).ahead == 0  # type: ignore[arg-type]


async def test_what_the_database_says_counts_after_a_restart(house) -> None:
    await house.lane(b.awaiting_signing(), name="signing")
    await house.lane(b.awaiting_keygen(), b.session(), name="sealing")
    await house.lane(b.awaiting_keygen(attempt=2), b.session(attempt=1), name="again")
    await house.lane(b.event_created(), name="early")
    await house.lane(b.funding_broadcasted(), name="funded")
    await house.lane(b.awaiting_signing(), name="stopped")
    async with house.store.write() as tx:
        await tx.quarantine("stopped", "contradiction", house.clock.now())
    turns = Turns(house.store, lambda: 0.0, 3)
    await turns.load()
    assert (await turns.ask("again", b.CLOSE)).ahead == 0
    assert (await turns.ask("early", b.CLOSE)).ahead == 1
    assert (await turns.ask("sealing", b.CLOSE)).ahead == 0


class TestDuty:
    async def execute(self, attempt: Attempt, turns: Turns) -> Any:
        work = executors(attempt.services, lambda: NewMoney(None), turns)
        duty = OpenSession(attempt=1, roster=ROSTER)
        task = Task(duty.id(b.LANE), duty, b.awaiting_keygen(1, ROSTER), attempt.story.lane, 1)
        return await work[duty.kind()](task)

    async def test_one_that_is_not_admitted_asks_again_and_opens_nothing(self, attempt: Attempt, book) -> None:
        turns = Turns(Present({b.LANE, "other"}), lambda: 0.0, 1)  # type: ignore[arg-type]
        await turns.ask("other", b.CLOSE)
        outcome = await self.execute(attempt, turns)
        assert isinstance(outcome, Again)
        assert outcome.reason is None
        assert [type(fact) for fact in outcome.facts] == [f.Queued]
        assert book.sessions == {}

    async def test_one_that_is_admitted_opens_its_session(self, attempt: Attempt) -> None:
        outcome = await self.execute(attempt, Turns(Present({b.LANE}), lambda: 0.0, 1))  # type: ignore[arg-type]
        assert isinstance(outcome, Done)
        assert [type(fact) for fact in outcome.facts] == [f.SessionOpen]


@pytest.mark.parametrize("stopped", [False, True])
async def test_stopped_ones_are_not_going(house, stopped: bool) -> None:
    await house.lane(b.awaiting_signing(), name="one")
    if stopped:
        async with house.store.write() as tx:
            await tx.quarantine("one", "contradiction", house.clock.now())
    assert await house.store.going_in(["awaiting_signing"]) == ([] if stopped else ["one"])
    assert await house.store.going_in(["created"]) == []
