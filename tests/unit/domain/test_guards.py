"""Guards of money: when a prize is decided, a hold lost at the last moment, approvals that approve nothing."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import bumping, closing, settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import FactBook
from coordinator_core.errors import Misuse
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import MAINNET, Story

FUNDING_OUT, OUTCOME_OUT = f"{b.FUNDING}:0", f"{b.OUTCOME}:0"


class TestDecided:
    """No payment leaves for a prize that another transaction could still change."""

    @pytest.fixture
    def paying(self, story: Story) -> Story:
        return story.put(*b.seats(), b.pinned(), b.contract_signed(), b.attested()).confirm(b.FUNDING)

    def test_not_without_a_pinned_contract(self, story: Story) -> None:
        assert not settling.decided(story.lane, b.outcome_broadcasted())

    def test_an_outcome_is_decided_while_it_has_36_blocks_to_confirm_before_the_expiry(self, paying: Story) -> None:
        state, last = b.outcome_broadcasted(), b.EXPIRY - 36 * 600
        assert settling.decided(paying.set(median_time_past=last).lane, state)
        assert not settling.decided(paying.set(median_time_past=last + 1).lane, state)

    @pytest.mark.parametrize(("depth", "decided"), [(0, False), (2, False), (3, True)])
    def test_an_outcome_is_not_while_a_reorg_may_take_its_funding_away(self, depth: int, decided: bool) -> None:
        story = Story(b.terms_with(MAINNET)).put(b.pinned(), b.contract_signed(), b.attested())
        if depth:
            story.confirm(b.FUNDING, b.TIP - depth + 1)
        assert settling.decided(story.lane, b.outcome_broadcasted()) is decided

    def test_the_expiry_is_decided_by_the_chain_alone(self, paying: Story) -> None:
        state = b.expiry_broadcasted()
        assert not settling.decided(paying.set(median_time_past=b.EXPIRY).lane, state)
        assert settling.decided(paying.spend(FUNDING_OUT, b.EXPIRED).lane, state)

    @pytest.mark.parametrize(("depth", "decided"), [(1, False), (2, False), (3, True)])
    def test_after_the_expiry_only_as_deep_as_the_terms_ask(self, depth: int, decided: bool) -> None:
        story = Story(b.terms_with(MAINNET)).put(b.pinned(), b.contract_signed(), b.attested())
        story.set(median_time_past=b.EXPIRY + 1).spend(FUNDING_OUT, b.OUTCOME, b.TIP - depth + 1)
        assert settling.decided(story.lane, b.outcome_broadcasted()) is decided

    def test_an_outcome_that_nobody_attested_to_us_decides_nothing_however_deep(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed()).spend(FUNDING_OUT, b.OUTCOME, b.TIP - 100)
        assert settling.outcome_unknown(b.expiry_broadcasted(), story.lane)
        assert not settling.decided(story.lane, b.expiry_broadcasted())
        assert settling.decided(story.put(b.attested()).lane, b.expiry_broadcasted())


class TestExpiryClosed:
    @pytest.mark.parametrize("role", ["close", "reclaim"])
    def test_our_own_spend_of_its_output_ends_it_once_it_is_deep(self, role: str) -> None:
        story = Story(b.terms_with(MAINNET)).put(b.pinned(), b.contract_signed(), *b.seats())
        story.spend(FUNDING_OUT, b.EXPIRED, b.TIP - 300).put(b.built(role, b.STRANGER, spends=f"{b.EXPIRED}:0"))
        story.spend(f"{b.EXPIRED}:0", b.STRANGER, b.TIP - 1)
        assert story.step(b.expiry_broadcasted()) is None
        closed = story.spend(f"{b.EXPIRED}:0", b.STRANGER, b.TIP - 2).step(b.expiry_broadcasted())
        assert closed == s.Completed(funding_txid=b.FUNDING, outcome=None)

    def test_anybody_elses_is_the_split(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed(), *b.seats()).spend(FUNDING_OUT, b.EXPIRED)
        split = story.spend(f"{b.EXPIRED}:0", b.SPLIT).step(b.expiry_broadcasted())
        assert isinstance(split, s.DeltaBroadcasted)
        assert (split.split_txid, split.outcome) == (b.SPLIT, None)


class TestFundingReady:
    """The last re-read of the holds before money moves."""

    FOUR = b.PLAYERS[:4]

    def read(self, story: Story, *lost: str, at: int = b.TIP) -> s.Competition | None:
        story.put(b.holds_read(1, lost=lost, at=at))
        return story.step(b.funding_ready(1, self.FOUR))

    def test_a_hold_that_is_lost_is_a_drop_and_the_rest_goes_on(self, story: Story) -> None:
        story.put(*b.seats(self.FOUR))
        assert self.read(story, "entry-4") == b.event_created(2)

    def test_with_too_few_left_everything_is_given_back(self, story: Story) -> None:
        story.put(*b.seats(self.FOUR))
        ended = self.read(story, "entry-4", "entry-3")
        assert isinstance(ended, s.Returning)
        assert ended.ends_in == "cancelled"

    def test_a_read_that_is_old_lets_nothing_leave(self, story: Story) -> None:
        story.put(*b.seats(self.FOUR))
        assert self.read(story, at=b.TIP - 2) is None
        assert isinstance(self.read(story, at=b.TIP), s.FundingBroadcasted)

    @pytest.mark.parametrize("holds", [b.holds_read(2), b.holds_read(1, lost=("entry-1",))])
    def test_the_step_itself_refuses_holds_that_do_not_stand(self, holds: f.HoldsRead) -> None:
        with pytest.raises(Misuse, match="not re-read"):
            b.funding_ready().broadcast(holds)


class TestForfeited:
    """An approval whose header was used up approves nothing; one that left in vain was in time all the same."""

    def spent(self, entry_id: str, session: str = "batch-1-0", *, header_used: bool = True) -> f.ApprovalSpent:
        return f.ApprovalSpent(
            attempt=1,
            entry_id=entry_id,
            session_id=session,
            timestamp=UnixTime(b.WALL + 20),
            header_used=header_used,
        )

    @pytest.fixture
    def approved(self, story: Story) -> Story:
        four = b.PLAYERS[:4]
        return story.put(*b.seats(four), b.pinned(), b.keygen(), b.batches(), *b.approvals(four))

    def over(self, story: Story) -> s.Competition | None:
        return story.set(wall=b.WALL + b.APPROVALS).step(b.awaiting_signing(1, b.PLAYERS[:4]))

    def test_the_player_is_dropped_at_the_end_of_the_window_and_the_rest_goes_on(self, approved: Story) -> None:
        assert self.over(approved.copy()) is None
        assert self.over(approved.put(self.spent("entry-4"))) == b.event_created(2)

    def test_one_that_left_in_vain_drops_nobody(self, approved: Story) -> None:
        assert self.over(approved.put(self.spent("entry-4", header_used=False))) is None

    def test_a_fresh_one_does_not_mend_it(self, approved: Story) -> None:
        approved.put(self.spent("entry-4"), b.approval("entry-4", "batch-1-0", at=b.WALL + 30))
        assert "entry-4" not in closing.approvers(approved.lane, 1)
        assert closing.forfeited(approved.lane, 1, "batch-1-0", "entry-4")
        assert not closing.forfeited(approved.lane, 1, "batch-1-1", "entry-4")
        assert self.over(approved) == b.event_created(2)

    def test_nothing_is_spent_on_it_meanwhile(self, approved: Story) -> None:
        """No approval leaves and no session is waited for until everyone's are good: no spare is opened for it."""
        state = b.awaiting_signing(1, b.PLAYERS[:4])
        assert {"keymeld.approve", "keymeld.collect"} <= approved.kinds(state)
        assert not approved.put(self.spent("entry-4")).kinds(state) & {
            "keymeld.approve",
            "keymeld.collect",
            "keymeld.open_spare",
        }

    def test_a_session_that_was_replaced_does_not_count_against_anyone(self, approved: Story) -> None:
        approved.put(self.spent("entry-4"), b.spare(0, "batch-1-0", b.WALL + 50))
        approved.put(*(b.approval(e, "spare-1-0") for e in b.PLAYERS[:4]))
        assert "entry-4" in closing.approvers(approved.lane, 1)


class TestLane:
    def test_terms_are_not_read_before_they_are_final(self) -> None:
        lane = Story(published=False).lane
        with pytest.raises(Misuse, match="has no published terms yet"):
            _ = lane.terms
        assert bumping.look_again(lane) is None

    def test_a_book_gives_every_fact_once(self) -> None:
        facts = [*b.seats(), b.pinned(), b.pinned(2)]
        book = FactBook(facts)
        assert sorted(map(repr, book)) == sorted(map(repr, facts))
        assert not book.changed
        assert not book.put(b.pinned())
        assert book.put(b.invoice("entry-1", f.HoldState.SETTLED))
        assert set(book.changed) == {("invoice", b.ticket_hash("entry-1"))}

    @pytest.mark.parametrize(
        ("fact", "key"),
        [
            (b.pinned(3), "3"),
            (f.Published(terms="{}", terms_hash="h"), ""),
            (b.seal("entry-1", 2), "2/entry-1"),
            (b.approval("entry-1", "batch", 2), "2/batch/entry-1"),
            (f.ApprovalSpent(attempt=2, entry_id="e", session_id="s", timestamp=UnixTime(7)), "2/s/e/7"),
            (b.ready("entry-1", ("two", "one")), "1/entry-1/one,two"),
        ],
    )
    def test_facts_are_known_by_their_natural_key(self, fact: f.Fact, key: Any) -> None:
        assert fact.key == key
