"""Who did not come to the closing is barred for a day; who sealed anywhere, or was cut short by others, is not."""

from __future__ import annotations

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.attendance import barred_until
from coordinator.domain.facts import Fact
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

OVER = b.WALL + b.SEALING
DAY = 86_400


def player(entry_id: str) -> str:
    return f"{b.PLAYERS.index(entry_id) + 1:064x}"


def tickets(owners: dict[str, str] | None = None) -> list[Fact]:
    """Seats with a player each, or the given one."""
    facts: list[Fact] = []
    for fact in b.seats():
        if isinstance(fact, f.Ticket):
            owner = (owners or {}).get(fact.entry_id, player(fact.entry_id))
            fact = f.Ticket(**{**msgspec.structs.asdict(fact), "player": owner})
        facts.append(fact)
    return facts


def absences(story: Story, state: s.Competition | None = None) -> dict[str, int]:
    wanted = story.wants(state or s.Cancelled(reason="r"))
    return {d.key: d.at for key, d in wanted.items() if key.startswith("attendance.")}  # type: ignore[attr-defined]


@pytest.fixture
def dropped(story: Story) -> Story:
    """entry-1 sealed in attempt 1, the others did not; the window is over."""
    story.put(*tickets(), b.session(), b.seal("entry-1"), b.registered("entry-1"))
    return story.set(wall=OVER)


def test_absent_players_are_written_down_with_the_end_of_the_window(dropped: Story) -> None:
    late = {player("entry-2"): OVER, player("entry-3"): OVER}
    assert absences(dropped) == late
    assert absences(dropped, s.Returning(reason="r", ends_in="cancelled")) == late
    missed = f.Missed(player=player("entry-2"), attempt=1, at=UnixTime(OVER))
    assert absences(dropped.put(missed)) == {player("entry-3"): OVER}


def test_nobody_before_the_window_is_over(dropped: Story) -> None:
    assert absences(dropped.set(wall=OVER - 1), b.awaiting_keygen()) == {}


def test_time_in_which_a_service_was_down_does_not_count(dropped: Story) -> None:
    dropped.put(f.Outage(service="keymeld", since=UnixTime(b.WALL + 1), until=UnixTime(b.WALL + 31)))
    assert absences(dropped.set(wall=OVER + 29)) == {}
    assert set(absences(dropped.set(wall=OVER + 30)).values()) == {OVER + 30}


def test_an_attempt_that_keymeld_failed_bars_nobody(dropped: Story) -> None:
    assert absences(dropped.put(f.AttemptFault(attempt=1, reason="x"))) == {}


def test_an_operators_cancel_bars_nobody(dropped: Story) -> None:
    one = f.CancelAsked(by="one owner", reason="r", is_owner=True)
    assert absences(dropped.put(one)) != {}
    assert absences(dropped.put(one, f.CancelAsked(by="another", reason="r", is_owner=True))) == {}


def test_a_closing_that_never_reached_keygen_bars_nobody(story: Story) -> None:
    story.put(*tickets(), b.oracle_event()).set(wall=OVER + DAY)
    assert absences(story) == {}


def test_whoever_sealed_in_any_attempt_is_not_barred(dropped: Story) -> None:
    """The first attempt is keymeld's fault; in the second one entry-2 comes, entry-3 does not."""
    dropped.put(f.AttemptFault(attempt=1, reason="x"), b.seal("entry-3"), b.session(2, OVER))
    dropped.put(b.seal("entry-1", 2), b.seal("entry-2", 2)).set(wall=OVER + b.SEALING)
    assert absences(dropped) == {}


def test_a_player_with_two_entries_is_present_with_one(story: Story) -> None:
    story.put(*tickets({"entry-2": player("entry-1")}), b.session(), b.seal("entry-1")).set(wall=OVER)
    assert absences(story) == {player("entry-3"): OVER}


def test_a_key_that_keymeld_refused_is_no_seal(dropped: Story) -> None:
    dropped.put(b.seal("entry-2"), b.registered("entry-2", refusal="not a key"), b.seal("entry-3"))
    assert absences(dropped) == {player("entry-2"): OVER}


def missed(at: int) -> f.Missed:
    return f.Missed(player="p", attempt=1, at=UnixTime(at))


def attended(at: int) -> f.Attended:
    return f.Attended(player="p", at=UnixTime(at))


@pytest.mark.parametrize(
    ("absent", "present", "now", "until"),
    [
        ([], [], 1_000, None),
        ([missed(1_000)], [], 1_000, 1_000 + DAY),
        ([missed(1_000)], [], 1_000 + DAY - 1, 1_000 + DAY),
        ([missed(1_000)], [], 1_000 + DAY, None),
        ([missed(1_000), missed(5_000)], [], 6_000, 5_000 + DAY),
        ([missed(1_000)], [attended(999)], 2_000, 1_000 + DAY),
        ([missed(1_000)], [attended(1_000)], 2_000, None),
        ([missed(1_000), missed(5_000)], [attended(4_000)], 6_000, 5_000 + DAY),
    ],
)
def test_a_bar_lasts_a_day_from_the_last_miss_unless_a_later_seal_lifts_it(
    absent: list[f.Missed], present: list[f.Attended], now: int, until: int | None
) -> None:
    assert barred_until(absent, present, UnixTime(now)) == until
