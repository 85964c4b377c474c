"""Who may be in its closing: the earliest sales first; who waits in vain gives its tickets back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain import facts as f
from coordinator.domain.admission import ahead_of
from coordinator.domain.competitions import advance as advance_module
from coordinator.domain.competitions.awaited import Party, Phase
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.states import Returning
from coordinator_core.units import UnixTime
from tests.support import lanes as b


def name(number: int) -> str:
    return f"lane-{number:03d}"


class TestOrder:
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(-3, 10))
    def test_as_many_go_as_there_is_room_for_the_earliest_first(self, ends: list[int], free: int) -> None:
        waiting: Any = {name(n): end for n, end in enumerate(ends)}
        go = {lane for lane in waiting if ahead_of(lane, waiting, free) == 0}
        assert len(go) == max(0, min(free, len(waiting)))
        order = sorted(waiting, key=lambda lane: (waiting[lane], lane))
        assert go == set(order[: max(0, free)])

    @given(st.integers(2, 50), st.integers(0, 10))
    def test_each_step_back_means_one_more_before(self, count: int, free: int) -> None:
        waiting: Any = {name(n): n for n in range(count)}
        for number in range(count):
            assert ahead_of(name(number), waiting, free) == max(0, number + 1 - free)


class TestWaiting:
    def test_pages_say_that_others_are_before_it(self) -> None:
        story = b.Story().put(*b.seats(), b.oracle_event(), f.Queued(attempt=1, since=UnixTime(b.WALL)))
        (awaited,) = missing(b.awaiting_keygen(), story.lane)
        assert (awaited.phase, awaited.party) == (Phase.TAKE_TURN, Party.COORDINATOR)
        assert awaited.until is not None

    def test_tickets_go_back_when_its_turn_does_not_come_in_time(self) -> None:
        story = b.Story().put(*b.seats(), b.oracle_event(), f.Queued(attempt=1, since=UnixTime(b.WALL)))
        assert advance_module.advance(b.awaiting_keygen(), story.lane) is None
        story.set(now=b.CLOSE + 30 * 86_400)
        step = advance_module.advance(b.awaiting_keygen(), story.lane)
        assert step is not None
        assert isinstance(step.state, Returning)
        assert "others were before it" in step.reason

    def test_who_waited_for_its_turn_and_then_for_its_players_is_told_so(self) -> None:
        """The session was open in time: what came too late is something else."""
        story = b.Story().put(*b.seats(), b.oracle_event(), f.Queued(attempt=1, since=UnixTime(b.WALL)), b.session())
        story.set(now=b.CLOSE + 30 * 86_400)
        step = advance_module.advance(b.awaiting_keygen(), story.lane)
        assert step is not None
        assert "others were before it" not in step.reason
