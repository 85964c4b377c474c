"""No competition waits for another: events of many in any order, two writers and two appliers at once, end to end."""

from __future__ import annotations

import asyncio
import random

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import Fact
from coordinator_core.units import UnixTime
from tests.support import lanes as b


def event(dice: random.Random) -> Fact:
    """Something that may be told of a competition that sells tickets; some of it twice, some of it late."""
    entry_id = dice.choice(b.PLAYERS)
    return dice.choice(
        [
            b.ticket(entry_id),
            b.entry(entry_id),
            b.invoice(entry_id, dice.choice(list(f.HoldState))),
            f.CancelAsked(by="operator", reason="r"),
            f.Outage(service="oracle", since=UnixTime(dice.randrange(9)), until=UnixTime(10)),
        ]
    )


@pytest.mark.parametrize(("lanes", "events"), [(1, 60), (7, 120), (50, 200)])
async def test_every_event_of_every_lane_is_applied(house, lanes: int, events: int) -> None:
    dice = random.Random(lanes)
    names = [f"lane-{number}" for number in range(lanes)]
    for name in names:
        await house.lane(s.CollectingEntries(terms_hash="h"), name=name)
    told = [(dice.choice(names), event(dice), number) for number in range(events)]

    async def source(part: list[tuple[str, Fact, int]]) -> None:
        for lane, fact, number in part:
            async with house.store.write() as tx:
                await tx.put_facts(lane, [fact], "test", house.clock.now())
                await tx.notify(lane, number % 6, "test", str(number), "test", house.clock.now())

            more.set()

    async def apply() -> None:
        while not written.is_set():
            await more.wait()
            more.clear()
            while await house.applier.step():
                pass

    more, written = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(apply())
        group.create_task(apply())
        await asyncio.gather(source(told[::2]), source(told[1::2]))
        written.set()
        more.set()
    assert await house.rows("SELECT count(*) FROM inbox WHERE status <> 1") == [(0,)]
    for name in names:
        canceled = any(isinstance(fact, f.CancelAsked) for lane, fact, _ in told if lane == name)
        assert isinstance(await house.state(name), s.CollectingEntries) is not canceled
