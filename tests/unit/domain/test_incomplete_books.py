"""What is decided while a fact is missing that others rely on: nobody is blamed, nothing is asked for, nothing sent."""

from __future__ import annotations

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import closing, notices
from coordinator.domain.competitions.watching import watched
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

WINDOW = Story().put(*b.seats(), b.oracle_event(), b.session())
SEALING = b.awaiting_keygen()


def told(at: int, times: int = 1) -> f.Notified:
    return f.Notified(entry_id="entry-1", topic="seal/1", delivered=True, at=UnixTime(at), number=times, times=times)


def reminded(story: Story, wall: int) -> bool:
    """Whether the first player is told of the sealing now."""
    lane = story.copy().set(wall=UnixTime(wall)).lane
    wanted = d.NotifyPlayer(entry_id="entry-1", topic="seal/1")
    return wanted in list(notices.notices(SEALING, lane))


class TestReminders:
    def test_the_first_comes_some_seconds_after_the_window_opened(self) -> None:
        assert not reminded(WINDOW, b.WALL + 7)
        assert reminded(WINDOW, b.WALL + 12)

    def test_each_pause_is_half_as_long_again(self) -> None:
        after = [WINDOW.copy().put(told(b.WALL + 12, times)) for times in (1, 2, 3)]
        due = [notices.next_reminder(SEALING, story.set(wall=UnixTime(b.WALL + 12)).lane) for story in after]
        for times, at in enumerate(due, start=1):
            exact = notices.FIRST_SECONDS * notices.GROWTH**times
            assert at is not None
            assert 0.8 * exact - 1 <= at - (b.WALL + 12) <= 1.2 * exact + 1

    def test_one_about_a_window_that_was_closed_counts_for_nothing(self) -> None:
        """A new attempt at the same topic begins with its first reminder."""
        assert reminded(WINDOW.copy().put(told(b.WALL - 1, 9)), b.WALL + 12)

    def test_none_comes_that_would_be_too_late_to_act_on(self) -> None:
        last = WINDOW.copy().put(told(b.WALL + b.SEALING - 2))
        assert notices.next_reminder(SEALING, last.set(wall=UnixTime(b.WALL + b.SEALING - 1)).lane) is None

    def test_who_sealed_is_told_no_more(self) -> None:
        assert not reminded(WINDOW.copy().put(b.seal("entry-1")), b.WALL + 12)

    def test_a_prize_is_told_of_once(self) -> None:
        story = Story().put(*b.seats(), b.pinned(), b.contract_signed(), b.attested()).confirm(b.FUNDING)
        before = {duty.entry_id for duty in notices.notices(b.outcome_broadcasted(), story.lane)}
        assert "entry-1" in before
        story.put(f.Notified(entry_id="entry-1", topic="prize", delivered=True, at=UnixTime(b.WALL)))
        after = {duty.entry_id for duty in notices.notices(b.outcome_broadcasted(), story.lane)}
        assert after == before - {"entry-1"}


class TestNobodyIsLate:
    def test_in_an_attempt_without_a_session(self) -> None:
        story = Story().put(*b.seats(), b.seal("entry-1", 1, b.WALL + 10 * b.SEALING))
        assert closing.late_players(story.lane, 2) == frozenset()

    def test_for_batches_that_were_never_opened(self) -> None:
        story = Story().put(*b.seats(), b.session(), b.ready("entry-1", ("batch-1-0",), at=b.WALL + 10 * b.APPROVALS))
        assert closing.late_players(story.lane, 2) == frozenset()
        story.put(b.batches())
        assert closing.late_players(story.lane, 2) == {"entry-1"}


def test_an_attestation_is_asked_for_only_of_a_known_event() -> None:
    """An outcome confirmed instead of the expiry: the oracle knows which."""
    story = Story().put(*b.seats(), b.pinned(), b.contract_signed()).confirm(b.FUNDING)
    story.spend(f"{b.FUNDING}:0", b.STRANGER)
    polls = [duty for duty in story.wants(b.expiry_broadcasted()).values() if isinstance(duty, d.PollAttestation)]
    assert polls == []
    story.put(b.oracle_event())
    polls = [duty for duty in story.wants(b.expiry_broadcasted()).values() if isinstance(duty, d.PollAttestation)]
    assert [(poll.event_id, poll.entries) for poll in polls] == [("event-1", 3)]


def test_an_outcome_without_a_known_transaction_is_not_watched_for() -> None:
    story = Story().put(*b.seats(), b.pinned()).confirm(b.FUNDING)
    before = watched(b.outcome_broadcasted(), story.lane)
    after = watched(b.outcome_broadcasted(), story.put(f.Sent(role="outcome", txid=b.OUTCOME)).lane)
    assert (b.FUNDING in before.transactions, b.OUTCOME in before.transactions) == (True, False)
    assert set(after.transactions) - set(before.transactions) == {b.OUTCOME}
    assert set(after.outpoints) - set(before.outpoints) == {f"{b.OUTCOME}:0"}
