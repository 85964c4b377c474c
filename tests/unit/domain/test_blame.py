"""Whose fault it is decides what follows: a player's costs its seat, keymeld's an attempt, an outage time until F."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import closing, watching
from coordinator.domain.competitions import states as s
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

FOUR = b.PLAYERS[:4]
DOWN = 1_800
"""Seconds of an outage."""


def hang(session_id: str) -> f.BatchHung:
    return f.BatchHung(attempt=1, session_id=session_id, reason="signature does not verify")


def lasting(since: int = b.CLOSE + 60, seconds: int = DOWN, service: str = "keymeld") -> f.Outage:
    return f.Outage(service=service, since=UnixTime(since), until=UnixTime(since + seconds))


class TestWrongOrMissingSignature:
    """keymeld's: a spare session signs the batch again, then the next attempt begins, and nobody loses a seat."""

    @pytest.fixture
    def approved(self, story: Story) -> Story:
        return story.put(*b.seats(FOUR), b.pinned(), b.keygen(), b.batches(count=1), *b.approvals(FOUR, count=1))

    def test_each_one_gets_a_spare_as_long_as_there_is_one(self, approved: Story) -> None:
        state, batch = b.awaiting_signing(roster=FOUR), "batch-1-0"
        for number in range(closing.spares_allowed(1)):
            approved.put(hang(batch))
            assert f"keymeld.open_spare/1/{batch}" in approved.wants(state)
            assert approved.step(state) is None
            made = b.spare(0, batch, b.WALL + number, name=f"spare{number}")
            approved.put(made, *(b.approval(e, made.batch.session_id) for e in FOUR))
            batch = made.batch.session_id
        assert f"keymeld.collect/1/{batch}" in approved.wants(state)

    def test_without_a_spare_the_next_attempt_begins_with_everybody(self, approved: Story) -> None:
        approved.put(f.AttemptFault(attempt=1, reason="no spare signing session is left"))
        assert approved.step(b.awaiting_signing(roster=FOUR)) == b.event_created(2, FOUR)

    def test_all_eight_attempts_end_in_a_full_return_and_nobody_is_barred(self, story: Story) -> None:
        story.put(*b.seats(FOUR))
        for attempt in range(1, 9):
            story.put(b.oracle_event(attempt), f.AttemptFault(attempt=attempt, reason="x"))
        state: s.Competition = b.event_created(roster=FOUR)
        while not isinstance(state, s.Returning):
            found = story.step(state)
            assert found is not None
            state = found
            if not isinstance(state, s.Returning):
                assert state.roster == FOUR  # type: ignore[union-attr]
        assert state.ends_in == "failed"
        assert sum(key.startswith("ln.cancel/") for key in story.wants(state)) == len(FOUR)
        assert not any(key.startswith("attendance.record") for key in story.wants(state))


@pytest.mark.parametrize("reason", ["the key epoch of enclave 1 changed", "the session is gone"])
@pytest.mark.parametrize("make", [b.awaiting_keygen, b.entries_submitted, b.awaiting_signing])
def test_lost_state_or_a_new_epoch_starts_the_next_attempt_with_everybody(
    story: Story, make: Callable[..., s.Competition], reason: str
) -> None:
    story.put(*b.seats(FOUR), f.AttemptFault(attempt=1, reason=reason))
    assert story.step(make(1, FOUR)) == b.event_created(2, FOUR)


class TestOutage:
    """It is waited for: its time counts against nobody, until nothing could be funded any more."""

    WAITING = (b.event_created, b.entries_submitted, b.awaiting_keygen, b.awaiting_signing)

    @pytest.mark.parametrize("make", WAITING)
    def test_the_closing_lasts_longer_by_it(self, story: Story, make: Callable[[], s.Competition]) -> None:
        assert isinstance(story.copy().set(now=b.END_OF_CLOSING).step(make()), s.Returning)
        story.put(lasting())
        assert story.set(now=b.END_OF_CLOSING + DOWN - 1).step(make()) is None
        assert watching.deadline(make(), story.lane).domain == b.END_OF_CLOSING + DOWN
        assert isinstance(story.set(now=b.END_OF_CLOSING + DOWN).step(make()), s.Returning)

    @pytest.mark.parametrize("make", WAITING)
    def test_nothing_is_waited_for_after_f(self, story: Story, make: Callable[[], s.Competition]) -> None:
        story.put(*b.seats(), lasting(seconds=10 * DOWN))
        assert story.set(tip=b.DEADLINE).step(make()) is None
        ended = story.set(tip=b.DEADLINE + 1).step(make())
        assert isinstance(ended, s.Returning)
        assert sum(key.startswith("ln.cancel/") for key in story.wants(ended)) == len(b.ROSTER)

    def test_an_outage_before_the_closing_or_after_it_changes_nothing(self, story: Story) -> None:
        story.put(lasting(b.CLOSE - DOWN), lasting(b.END_OF_CLOSING))
        assert closing.end(story.lane) == b.END_OF_CLOSING

    def test_nobody_is_dropped_for_it(self, story: Story) -> None:
        """Sealed by two of three when the gateway went: the third has its window once it is back."""
        story.put(b.session(), b.seal("entry-1"), b.seal("entry-2"), lasting(b.WALL + 5, b.SEALING))
        assert story.set(wall=b.WALL + b.SEALING).step(b.awaiting_keygen()) is None
        story.put(b.seal("entry-3", at=b.WALL + b.SEALING + 5), *(b.registered(e) for e in b.ROSTER), b.keygen())
        assert isinstance(story.step(b.awaiting_keygen()), s.EntriesSubmitted)


class TestPlayers:
    """What a player did not do, or did wrong, costs that player alone."""

    def test_a_key_that_keymeld_refuses_drops_its_player(self, story: Story) -> None:
        story.put(b.session(roster=FOUR), *(b.seal(e) for e in FOUR), *(b.registered(e) for e in b.ROSTER))
        story.put(b.registered("entry-4", refusal="does not open"))
        assert story.set(wall=b.WALL + b.SEALING).step(b.awaiting_keygen(roster=FOUR)) == b.event_created(2)

    def test_who_does_not_approve_is_dropped_and_given_back(self, story: Story) -> None:
        story.put(*b.seats(FOUR), b.batches(), *b.approvals(b.ROSTER)).set(wall=b.WALL + b.APPROVALS)
        following = story.step(b.awaiting_signing(roster=FOUR))
        assert following == b.event_created(2)
        cancels = {key for key in story.wants(b.event_created(2)) if key.startswith("ln.cancel/")}
        assert cancels == {f"ln.cancel/{b.ticket_hash('entry-4')}"}


class TestEndOfTheClosing:
    """It is nobody's fault but of those who were not there."""

    def test_no_attempt_begins_after_it(self, story: Story) -> None:
        story.put(b.session(roster=FOUR), *(b.seal(e) for e in b.ROSTER))
        story.set(wall=b.WALL + b.SEALING, now=b.END_OF_CLOSING)
        ended = story.step(b.awaiting_keygen(roster=FOUR))
        assert isinstance(ended, s.Returning)
        assert (ended.ends_in, ended.reason) == ("cancelled", "1 players did not seal in time; the closing is over")

    @pytest.mark.parametrize(
        ("make", "opened"),
        [(b.awaiting_keygen, b.session()), (b.awaiting_signing, b.batches())],
        ids=["keys", "batches"],
    )
    def test_keymeld_is_named_only_for_what_it_did_not_open(
        self, story: Story, make: Callable[[], s.Competition], opened: f.Fact
    ) -> None:
        story.set(now=b.END_OF_CLOSING)
        without, within = story.copy().step(make()), story.put(opened).step(make())
        assert isinstance(without, s.Returning)
        assert isinstance(within, s.Returning)
        assert "keymeld" in without.reason
        assert "the closing ended before" in within.reason
