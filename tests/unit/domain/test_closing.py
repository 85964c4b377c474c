"""The closing: drops, the late rule, attempts, spare sessions, and the duties of each window."""

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import closing, watching
from coordinator.domain.competitions import states as s
from coordinator.views.closing import keymeld_status
from coordinator_core.competition.closing import max_signing_sessions
from coordinator_core.competition.schedule import latest_funding
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

FOUR = b.PLAYERS[:4]
LATE = b.WALL + b.SEALING * 3 // 4 + 1


def test_refused_key_is_absent_although_it_was_handed_in(story: Story) -> None:
    story.put(b.session(roster=FOUR), *(b.seal(e) for e in FOUR), *(b.registered(e) for e in b.ROSTER))
    story.put(b.registered("entry-4", refusal="key does not decrypt")).set(wall=b.WALL + b.SEALING)
    assert story.step(b.awaiting_keygen(roster=FOUR)) == b.event_created(2)


def test_dropped_player_is_in_no_later_attempt(story: Story) -> None:
    story.put(b.session(roster=FOUR), *(b.seal(e) for e in b.ROSTER), b.oracle_event(2), b.session(2), b.keygen(2))
    state, _ = story.set(wall=b.WALL + b.SEALING).run(b.awaiting_keygen(roster=FOUR))
    assert state == s.EntriesSubmitted(roster=b.ROSTER, attempt=2, event_id="event-2")


def test_latecomer_is_in_the_second_attempt_but_not_in_the_third(story: Story) -> None:
    story.put(b.session(1, roster=FOUR), *(b.seal(e) for e in b.ROSTER), b.seal("entry-4", at=LATE))
    story.put(f.AttemptFault(attempt=1, reason="x"), f.AttemptFault(attempt=2, reason="x"))
    second = story.step(b.awaiting_keygen(1, FOUR))
    assert second == b.event_created(2, FOUR)
    assert story.step(b.awaiting_keygen(2, FOUR)) == b.event_created(3)


def test_three_quarters_of_a_window_are_not_late(story: Story) -> None:
    story.put(b.session(1, roster=FOUR), *(b.seal(e, at=LATE - 1) for e in FOUR))
    assert closing.late_players(story.lane, 3) == frozenset()
    story.put(b.seal("entry-1", 2, LATE), b.session(2))
    assert closing.late_players(story.lane, 3) == {"entry-1"}


@pytest.mark.parametrize("down", [0, 300])
def test_nobody_is_late_for_the_time_in_which_a_service_was_down(story: Story, down: int) -> None:
    story.put(b.session(roster=FOUR), b.batches(), *(b.seal(e, at=b.WALL + 5) for e in FOUR))
    story.put(b.seal("entry-5", at=LATE), b.ready("entry-1", ("batch-1-0", "batch-1-1"), at=LATE))
    story.put(f.Outage(service="keymeld", since=UnixTime(b.WALL + 10), until=UnixTime(b.WALL + 10 + down)))
    assert closing.late_players(story.lane, 3) == (frozenset() if down else {"entry-1", "entry-5"})


def test_ready_late_counts_against_its_own_window(story: Story) -> None:
    """A spare session opens an approval window of its own: who is ready early in it was not late."""
    first = ("batch-1-0", "batch-1-1")
    second = ("batch-1-0", "spare-1-1")
    opened = b.WALL + b.APPROVALS
    story.put(b.batches(), b.spare(1, "batch-1-1", opened))
    story.put(b.ready("entry-1", first), b.ready("entry-1", second, at=opened + 10))
    assert closing.late_players(story.lane, 3) == frozenset()
    story.put(b.ready("entry-2", second, at=opened + b.APPROVALS * 3 // 4 + 1))
    assert closing.late_players(story.lane, 3) == {"entry-2"}
    story.put(b.ready("entry-3", first, at=b.WALL + b.APPROVALS * 3 // 4 + 1))
    assert closing.late_players(story.lane, 3) == {"entry-2", "entry-3"}


def test_at_most_eight_attempts(story: Story) -> None:
    state: s.Competition = b.event_created()
    for attempt in range(1, 9):
        story.put(b.oracle_event(attempt), f.AttemptFault(attempt=attempt, reason="x"))
    state, reasons = story.run(state)
    assert isinstance(state, s.Cancelled | s.Failed)
    assert sum("announced event" in reason for reason in reasons) == 8


def test_attempt_does_not_start_with_fewer_than_six_blocks(story: Story) -> None:
    story.put(f.AttemptFault(attempt=1, reason="x"))
    assert story.set(tip=b.DEADLINE - 6).step(b.awaiting_keygen()) == b.event_created(2)
    ended = story.set(tip=b.DEADLINE - 5).step(b.awaiting_keygen())
    assert isinstance(ended, s.Returning)
    assert ended.ends_in == "failed"


def test_too_few_because_of_players_is_canceled_because_of_keymeld_is_failed(story: Story) -> None:
    absent = story.copy().put(b.session()).set(wall=b.WALL + b.SEALING).step(b.awaiting_keygen())
    assert isinstance(absent, s.Returning)
    assert absent.ends_in == "cancelled"
    fault = story.copy().put(f.AttemptFault(attempt=8, reason="x")).step(b.awaiting_keygen(8))
    assert isinstance(fault, s.Returning)
    assert fault.ends_in == "failed"


def test_duties_of_sealing_follow_the_seals(story: Story) -> None:
    state = b.awaiting_keygen()
    assert story.kinds(state) == {"keymeld.open_session"}
    story.put(b.session(), b.seal("entry-1"), b.seal("entry-2"), b.seal("entry-5"))
    assert set(story.wants(state)) == {"keymeld.register/1/entry-1", "keymeld.register/1/entry-2"}
    story.put(*(b.registered(e) for e in b.ROSTER[:2]))
    assert story.wants(state) == {}
    story.put(b.seal("entry-3"), b.registered("entry-3"))
    assert set(story.wants(state)) == {"keymeld.await_roster/1"}


def test_entries_then_pin(story: Story) -> None:
    state = b.entries_submitted()
    assert story.kinds(state) == {"oracle.submit_entries"}
    assert story.put(b.posted()).kinds(state) == {"contract.pin"}
    assert story.put(b.pinned()).kinds(state) == set()


def test_nothing_is_forwarded_before_everyone_approved_every_batch(story: Story) -> None:
    state = b.awaiting_signing()
    assert story.kinds(state) == {"keymeld.open_batches"}
    story.put(b.batches(), *b.approvals(b.ROSTER[:2]), b.approval("entry-3", "batch-1-0"))
    assert story.kinds(state) == set()
    story.put(b.approval("entry-3", "batch-1-1"))
    wanted = story.wants(state)
    assert sum(key.startswith("keymeld.approve/") for key in wanted) == 6
    assert {key for key in wanted if key.startswith("keymeld.collect/")} == {
        "keymeld.collect/1/batch-1-0",
        "keymeld.collect/1/batch-1-1",
    }


def test_forwarded_approval_is_not_forwarded_again_and_a_fresh_one_has_a_key_of_its_own(story: Story) -> None:
    state = b.awaiting_signing()
    story.put(b.batches(count=1), *b.approvals(count=1))
    story.put(f.Forwarded(attempt=1, entry_id="entry-1", session_id="batch-1-0"))
    wanted = {key for key in story.wants(state) if key.startswith("keymeld.approve/")}
    assert wanted == {f"keymeld.approve/1/batch-1-0/{e}/{b.WALL + 20}" for e in b.ROSTER[1:]}
    story.put(b.approval("entry-2", "batch-1-0", at=b.WALL + 90))
    assert f"keymeld.approve/1/batch-1-0/entry-2/{b.WALL + 90}" in story.wants(state)


def test_an_approval_that_left_in_vain_is_not_forwarded_again_but_counts_as_given(story: Story) -> None:
    state = b.awaiting_signing()
    story.put(b.batches(count=1), *b.approvals(count=1))
    spent = f.ApprovalSpent(attempt=1, entry_id="entry-1", session_id="batch-1-0", timestamp=UnixTime(b.WALL + 20))
    wanted = {key for key in story.put(spent).wants(state) if key.startswith("keymeld.approve/")}
    assert wanted == {f"keymeld.approve/1/batch-1-0/{e}/{b.WALL + 20}" for e in b.ROSTER[1:]}
    assert story.set(wall=b.WALL + b.APPROVALS).step(state) is None
    assert keymeld_status(state, story.lane, "entry-1")["approved"] == []
    assert keymeld_status(state, story.lane, "entry-2")["approved"] == ["batch-1-0"]
    story.put(b.approval("entry-1", "batch-1-0", at=b.WALL + 90))
    assert f"keymeld.approve/1/batch-1-0/entry-1/{b.WALL + 90}" in story.wants(state)


def test_contract_is_assembled_when_every_batch_is_signed(story: Story) -> None:
    state = b.awaiting_signing()
    story.put(b.batches(), *b.approvals(), b.batch_signed(0))
    assert "contract.assemble/1" not in story.wants(state)
    assert "keymeld.collect/1/batch-1-0" not in story.wants(state)
    assert "contract.assemble/1" in story.put(b.batch_signed(1)).wants(state)
    assert "contract.assemble/1" not in story.put(b.contract_signed()).wants(state)


def hang(session_id: str) -> f.BatchHung:
    return f.BatchHung(attempt=1, session_id=session_id, reason="a signature is wrong")


def test_hung_batch_gets_a_spare_with_its_index_and_a_window_of_its_own(story: Story) -> None:
    state = b.awaiting_signing()
    story.put(b.batches(), *b.approvals(), hang("batch-1-1"))
    spare = story.wants(state)["keymeld.open_spare/1/batch-1-1"]
    assert (spare.index, spare.replaces, spare.roster) == (1, "batch-1-1", b.ROSTER)  # type: ignore[attr-defined]
    assert "keymeld.collect/1/batch-1-1" not in story.wants(state)
    opened = b.WALL + b.APPROVALS - 1
    story.put(b.spare(1, "batch-1-1", opened))
    assert [batch.session_id for batch in closing.open_batches(story.lane, 1)] == ["batch-1-0", "spare-1-1"]
    assert closing.approval_deadline(story.lane, 1) == opened + b.APPROVALS
    assert closing.absent_at_approval(story.lane, 1, b.ROSTER) == set(b.ROSTER)
    assert story.set(wall=b.WALL + b.APPROVALS).step(state) is None
    story.put(*(b.approval(e, "spare-1-1") for e in b.ROSTER))
    assert "keymeld.collect/1/spare-1-1" in story.wants(state)


def test_spare_that_hangs_is_replaced_by_the_next_one(story: Story) -> None:
    story.put(b.batches(count=1), hang("batch-1-0"), b.spare(0, "batch-1-0", b.WALL + 5), hang("spare-1-0"))
    assert "keymeld.open_spare/1/spare-1-0" in story.wants(b.awaiting_signing())
    story.put(b.spare(0, "spare-1-0", b.WALL + 9, name="second"))
    assert [batch.session_id for batch in closing.open_batches(story.lane, 1)] == ["second-1-0"]
    assert closing.hung(story.lane, 1) == ()


def test_signed_batch_is_not_hung_whatever_is_said_of_its_session(story: Story) -> None:
    story.put(b.batches(), *b.approvals(), hang("batch-1-0"), b.batch_signed(0))
    assert closing.hung(story.lane, 1) == ()
    assert not any(key.startswith("keymeld.open_spare") for key in story.wants(b.awaiting_signing()))


def test_ready_counts_only_for_the_sessions_in_force(story: Story) -> None:
    story.put(b.batches(), b.ready("entry-1", ("batch-1-1", "batch-1-0")), b.ready("entry-2", ("batch-1-0",)))
    assert closing.ready_players(story.lane, 1) == {"entry-1"}
    story.put(b.spare(0, "batch-1-0", b.WALL + 5))
    assert closing.ready_players(story.lane, 1) == frozenset()


def test_who_approves_without_a_word_lets_nobody_wait_for_it(story: Story) -> None:
    """Nobody is asked to approve before all are ready: it would be the others who lose their seats."""
    story.put(b.batches(), *b.approvals(("entry-1",)))
    story.put(*(b.ready(e, ("batch-1-0", "batch-1-1")) for e in ("entry-2", "entry-3")))
    assert closing.ready_players(story.lane, 1) == set(b.ROSTER)
    story.facts = [fact for fact in story.facts if fact.key != "1/batch-1-1/entry-1"]
    assert closing.ready_players(story.lane, 1) == {"entry-2", "entry-3"}
    assert closing.absent_at_approval(story.lane, 1, b.ROSTER) == {"entry-1"}


@pytest.mark.parametrize("batches", [1, 4, 5, 30])
def test_spares_are_what_the_quota_leaves(batches: int) -> None:
    assert closing.spares_allowed(batches) == max_signing_sessions(batches) - batches == 2 + -(-batches // 4)


def test_coins_of_an_ended_attempt_are_released_once(story: Story) -> None:
    story.put(b.posted(1))
    assert "wallet.release/1" not in story.wants(b.entries_submitted(1))
    assert "wallet.release/1" in story.wants(b.event_created(2))
    assert "wallet.release/1" in story.wants(s.Returning(reason="r", ends_in="failed"))
    story.put(f.CoinsReleased(attempt=1))
    assert "wallet.release/1" not in story.wants(b.event_created(2))


def test_a_funding_that_was_signed_and_given_up_is_made_impossible_before_its_coins_are_free() -> None:
    state = s.Returning(reason="r", ends_in="failed")
    story = Story(b.terms_with(b.MAINNET)).put(b.posted(1), b.pinned(), b.built("funding", b.FUNDING))
    for depth, txid in ((0, None), (1, b.STRANGER), (2, b.STRANGER)):
        if txid is not None:
            story.spend(b.COIN, txid, b.TIP - depth + 1)
        assert set(story.wants(state)) == {"chain.broadcast/take-back/1"}
        assert (watching.deadline(state, story.lane).height, story.step(state)) == (b.TIP + 1, None)
    story.spend(b.COIN, b.STRANGER, b.TIP - 2)
    assert set(story.wants(state)) == {"wallet.release/1"}
    story.put(f.CoinsReleased(attempt=1))
    assert isinstance(story.step(state), s.Failed)


def test_holds_are_read_again_when_the_last_reading_is_old(story: Story) -> None:
    state = b.funding_ready()
    assert "ln.read_holds/1" in story.wants(state)
    assert "ln.read_holds/1" not in story.put(b.holds_read(1)).wants(state)
    assert "ln.read_holds/1" in story.set(tip=b.TIP + 2).wants(state)


def test_windows_are_timers_and_past_dates_are_not(story: Story) -> None:
    story.put(b.session(), b.batches(), *(b.seal(e) for e in b.ROSTER))
    ends = b.WALL + b.SEALING
    assert watching.deadline(b.awaiting_keygen(), story.lane).wall == ends
    assert watching.deadline(b.awaiting_keygen(), story.set(wall=ends).lane).wall == ends + b.SEALING
    assert watching.deadline(b.event_created(), story.lane).domain == b.END_OF_CLOSING
    last = latest_funding(story.terms)
    assert watching.deadline(b.event_created(), story.set(now=b.END_OF_CLOSING).lane).domain == last + 1
    assert watching.deadline(b.event_created(), story.set(now=last + 1).lane).domain is None
    assert watching.deadline(b.event_created(), story.lane).height == b.TIP + 1
    assert watching.deadline(s.CollectingEntries(terms_hash="h"), story.lane).domain == b.CLOSE
