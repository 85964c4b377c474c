"""Reminders in the windows of the closing: not too soon, less and less often, and only who is awaited."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions.notices import FIRST_SECONDS, LONGEST_SECONDS, next_reminder, notices
from coordinator.domain.competitions.watching import deadline
from coordinator.domain.duties import NotifyPlayer
from coordinator.engine.duty import Done
from coordinator.engine.executors.notify import NotifyPlayerExecutor
from coordinator.ports.notify import Notice
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story

LONG = b.terms_with({"schedule.closing.sealing": 3_000})
SESSIONS = ("batch-1-0", "batch-1-1")


def told(entry_id: str, topic: str, at: int, times: int = 1, number: int = 1) -> f.Notified:
    return f.Notified(entry_id=entry_id, topic=topic, delivered=True, at=at, times=times, number=number)  # type: ignore[arg-type]


def walk(story: Story, state, entry_id: str, until: int) -> list[int]:
    """Moments at which a player is told, when every message is delivered as soon as it is due."""
    moments: list[int] = []
    for second in range(until):
        story.set(wall=b.WALL + second)
        due = [duty for duty in notices(state, story.lane) if duty.entry_id == entry_id]
        assert len(due) <= 1
        if due:
            moments.append(second)
            story.put(told(entry_id, due[0].topic, b.WALL + second, len(moments)))
    return moments


def test_the_first_after_ten_seconds_then_half_as_long_again_up_to_five_minutes() -> None:
    story = Story(LONG).put(*b.seats(), b.session())
    moments = walk(story, b.awaiting_keygen(), "entry-1", 3_000)
    assert FIRST_SECONDS <= moments[0] <= 12
    pauses = [later - sooner for sooner, later in pairwise(moments)]
    for number, pause in enumerate(pauses, start=1):
        exact = FIRST_SECONDS * 1.5**number
        assert max(10, 0.79 * min(exact, LONGEST_SECONDS)) <= pause <= min(LONGEST_SECONDS, 1.21 * exact)
    assert pauses[-1] > 230
    assert 11 <= len(moments) <= 18


def test_players_are_not_all_told_in_the_same_second() -> None:
    story = Story(LONG).put(*b.seats(b.PLAYERS), b.session(roster=b.PLAYERS))
    state = b.awaiting_keygen(roster=b.PLAYERS)
    assert len({tuple(walk(story.copy(), state, e, 300)) for e in b.PLAYERS}) > 1


def test_it_ends_with_the_window() -> None:
    story = Story().put(*b.seats(), b.session())
    moments = walk(story, b.awaiting_keygen(), "entry-1", b.SEALING + 500)
    assert moments[-1] < b.SEALING
    assert story.lane.world.wall > b.WALL + b.SEALING
    assert next_reminder(b.awaiting_keygen(), story.lane) is None


def test_it_ends_with_what_was_asked_for() -> None:
    story = Story().put(*b.seats(), b.session(), b.seal("entry-1"))
    assert walk(story, b.awaiting_keygen(), "entry-1", b.SEALING) == []


def test_a_window_that_opens_anew_counts_anew() -> None:
    story = Story().put(*b.seats(), b.batches(), told("entry-1", "compare/1", b.WALL + 300, times=8))
    story.put(b.spare(0, "batch-1-0", b.WALL + 310)).set(wall=b.WALL + 323)
    assert "entry-1" in {duty.entry_id for duty in notices(b.awaiting_signing(), story.lane)}


def test_a_timer_wakes_the_competition_for_the_next_one() -> None:
    story = Story().put(*b.seats(), b.session())
    due = next_reminder(b.awaiting_keygen(), story.lane)
    assert due is not None
    assert deadline(b.awaiting_keygen(), story.lane).wall == due
    story.set(wall=due)
    assert any(duty.topic == "seal/1" for duty in notices(b.awaiting_keygen(), story.lane))


@dataclass
class Relays:
    sent: list[Notice] = field(default_factory=list[Notice])

    async def send(self, lane: str, notice: Notice) -> None:
        self.sent.append(notice)


class TestMessages:
    @pytest.fixture
    def relays(self, bench) -> Relays:
        relays = Relays()
        bench.services = dataclasses.replace(bench.services, notifier=relays)
        return relays

    async def tell(self, bench, story: Story, state) -> f.Notified:
        duty = NotifyPlayer(entry_id=scene.PLAYERS[0].name, topic="compare/1")
        outcome = await NotifyPlayerExecutor(bench.services)(await bench.task(duty, state, story))
        assert isinstance(outcome, Done)
        (fact,) = outcome.facts
        assert isinstance(fact, f.Notified)
        story.put(fact)
        return fact

    async def test_each_reminder_is_a_message_of_its_own(self, bench, relays: Relays) -> None:
        story = Story().put(*scene.PLAYERS[0].facts(b.terms_with()), b.batches())
        state = b.awaiting_signing(1, scene.ROSTER)
        assert [(fact.number, fact.times) for fact in [await self.tell(bench, story, state) for _ in range(3)]] == [
            (1, 1),
            (2, 2),
            (3, 3),
        ]
        bench.house.clock.seconds += 100
        story.put(b.spare(0, "batch-1-0", b.WALL + 50))
        anew = await self.tell(bench, story, state)
        assert (anew.number, anew.times, anew.at) == (4, 1, b.WALL + 100)
        assert len({notice.topic for notice in relays.sent}) == 4

    async def test_a_message_that_is_sent_again_after_a_crash_is_the_same_one(self, bench, relays: Relays) -> None:
        story = Story().put(*scene.PLAYERS[0].facts(b.terms_with()), b.batches())
        state = b.awaiting_signing(1, scene.ROSTER)
        await self.tell(bench, story.copy(), state)
        await self.tell(bench, story.copy(), state)
        assert len({notice.topic for notice in relays.sent}) == 1
