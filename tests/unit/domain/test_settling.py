"""Prizes, the Lightning window, split, close, reclaim, sweeps, expiry, reorgs (money sections 6 and 7)."""

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.settling import lightning_window, prizes
from coordinator.domain.competitions.watching import deadline, watched
from coordinator.domain.facts import HoldState, PrizeState
from coordinator_core.units import Sats, UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

FUNDING_OUT, OUTCOME_OUT = f"{b.FUNDING}:0", f"{b.OUTCOME}:0"
PINNED = b.pinned().at_height


@pytest.fixture
def paying(story: Story) -> Story:
    """The outcome is confirmed in the tip."""
    story.put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed(), b.attested())
    return story.confirm(b.FUNDING, b.TIP - 10).spend(FUNDING_OUT, b.OUTCOME)


@pytest.fixture
def split(paying: Story) -> Story:
    """The split is confirmed in the tip."""
    return paying.spend(OUTCOME_OUT, b.SPLIT).put(f.Sent(role="split", txid=b.SPLIT))


def states_of(story: Story, state: settling.Settled) -> dict[str, str]:
    return {prize.share.entry_id: prize.state.value for prize in prizes(story.lane, state)}


def broadcasts(story: Story, state: s.Competition) -> set[str]:
    return {key.removeprefix("chain.broadcast/") for key in story.wants(state) if key.startswith("chain.broadcast")}


def after(story: Story, blocks: int) -> Story:
    return story.set(tip=b.TIP + blocks)


class TestShares:
    def test_ranked_prizes_give_the_whole_pool_and_keep_a_routing_allowance(self, paying: Story) -> None:
        listed = settling.shares(paying.lane, b.ROSTER, 0)
        assert [(share.entry_id, share.place, share.vout) for share in listed] == [
            ("entry-1", 1, 0),
            ("entry-2", 2, 1),
        ]
        assert sum(share.gross for share in listed) == 3 * 50_000
        assert all(share.net < share.gross for share in listed)

    def test_outputs_are_in_player_order_whoever_is_first(self, paying: Story) -> None:
        last_first = next(o for o in range(6) if settling.shares(paying.lane, b.ROSTER, o)[0].place == 2)
        listed = settling.shares(paying.lane, b.ROSTER, last_first)
        assert [share.vout for share in listed] == [0, 1]
        assert listed[0].entry_id < listed[1].entry_id

    @pytest.mark.parametrize("outcome", [None, b.REFUND_ALL_OF_3])
    def test_refund_and_expiry_give_every_stake_back_exactly(self, paying: Story, outcome: int | None) -> None:
        listed = settling.shares(paying.lane, b.ROSTER, outcome)
        assert [(share.gross, share.net, share.place) for share in listed] == [(50_000, 50_000, None)] * 3


class TestWindow:
    def test_unconfirmed_outcome_counts_from_the_next_block(self, story: Story) -> None:
        story.put(b.pinned(), f.Sent(role="outcome", txid=b.OUTCOME))
        claim = b.TIP + 1 + 2 * b.DELTA
        assert settling.claim_height(story.lane, b.outcome_broadcasted()) == claim
        assert lightning_window(story.lane, b.outcome_broadcasted()) == claim - 13 - (b.TIP + 3)

    def test_confirmed_outcome_moves_the_claim_only_while_its_split_is_late(self, paying: Story) -> None:
        state = b.outcome_broadcasted()
        assert settling.claim_height(paying.lane, state) == b.TIP + 2 * b.DELTA
        assert settling.claim_height(after(paying, b.DELTA - 1).lane, state) == b.TIP + 2 * b.DELTA
        assert settling.claim_height(after(paying, b.DELTA + 50).lane, state) == b.TIP + 2 * b.DELTA + 51

    def test_confirmed_split_fixes_it(self, split: Story) -> None:
        assert settling.claim_height(after(split, 20).lane, b.delta_broadcasted()) == b.TIP + b.DELTA

    def test_prize_is_for_the_chain_from_the_block_at_which_the_window_is_empty(self, split: Story) -> None:
        state = b.delta_broadcasted()
        last = b.DELTA - 13 - 3 - 1
        assert lightning_window(after(split, last).lane, state) == 1
        assert states_of(split, state)["entry-1"] == "CLAIMABLE"
        assert lightning_window(after(split, last + 1).lane, state) == 0
        assert states_of(split, state)["entry-1"] == "ONCHAIN"

    def test_running_payment_is_awaited_beyond_the_window(self, split: Story) -> None:
        split.put(b.payout("entry-1", PrizeState.PAYING), b.payout("entry-2", PrizeState.UNKNOWN))
        assert states_of(after(split, b.DELTA), b.delta_broadcasted()) == {"entry-1": "PAYING", "entry-2": "UNKNOWN"}


class TestPrizes:
    def test_failed_payment_can_be_asked_for_again(self, paying: Story) -> None:
        paying.put(b.payout("entry-1", PrizeState.CLAIMABLE, failure="payee_rejects"))
        assert states_of(paying, b.outcome_broadcasted())["entry-1"] == "CLAIMABLE"
        assert "ln.pay" not in paying.kinds(b.outcome_broadcasted())

    def test_live_payments_are_duties_in_every_state(self, paying: Story) -> None:
        paying.put(b.payout("entry-1", PrizeState.PAYING), b.payout("entry-2", PrizeState.UNKNOWN))
        for state in (b.outcome_broadcasted(), b.expiry_broadcasted(), b.delta_broadcasted()):
            assert sum(duty.kind() == "ln.pay" for duty in paying.wants(state).values()) == 2

    def test_paid_is_no_duty_any_more(self, paying: Story) -> None:
        assert "ln.pay" not in paying.put(b.payout("entry-1", PrizeState.PAID)).kinds(b.outcome_broadcasted())

    def test_written_off_ticket_wins_nothing_even_if_it_was_paid(self, paying: Story) -> None:
        paying.put(b.payout("entry-1", PrizeState.PAID))
        state = b.outcome_broadcasted(written_off=("entry-1",))
        assert states_of(paying, state) == {"entry-1": "VOID", "entry-2": "CLAIMABLE"}

    def test_winner_who_spends_its_output_has_claimed_after_required_confirmations(self) -> None:
        story = Story(b.terms_with(b.MAINNET)).put(b.pinned(), b.contract_signed())
        story.spend(FUNDING_OUT, b.OUTCOME).spend(f"{b.SPLIT}:0", b.STRANGER)
        assert states_of(after(story, 1), b.delta_broadcasted())["entry-1"] == "CLAIMABLE"
        assert states_of(after(story, 2), b.delta_broadcasted())["entry-1"] == "CLAIMED"

    def test_output_that_we_take_without_paying_is_owed_even_if_we_died_before_seeing_it_sent(
        self, split: Story
    ) -> None:
        split.put(b.built("sweep:reclaim:entry-1", b.STRANGER)).spend(f"{b.SPLIT}:0", b.STRANGER)
        assert states_of(split, b.delta_broadcasted()) == {"entry-1": "OWED", "entry-2": "CLAIMABLE"}

    def test_paid_stays_paid_when_we_sweep_its_output(self, split: Story) -> None:
        split.put(b.payout("entry-1", PrizeState.PAID), b.built("sweep:sellback:entry-1", b.STRANGER))
        assert states_of(split.spend(f"{b.SPLIT}:0", b.STRANGER), b.delta_broadcasted())["entry-1"] == "PAID"


class TestOutcome:
    def test_outcome_is_announced_until_it_is_in_the_chain(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed()).confirm(b.FUNDING)
        assert broadcasts(story, b.outcome_broadcasted()) == {"outcome"}
        assert broadcasts(story, b.expiry_broadcasted()) == {"expiry"}
        assert broadcasts(story.spend(FUNDING_OUT, b.OUTCOME), b.outcome_broadcasted()) == set()

    def test_split_is_sent_so_that_it_can_be_in_the_first_block_in_which_it_may(self, paying: Story) -> None:
        state = b.outcome_broadcasted()
        assert broadcasts(after(paying, b.DELTA - 2), state) == set()
        assert broadcasts(after(paying, b.DELTA - 1), state) == {"split"}

    def test_split_does_not_wait_for_a_pending_payment(self, paying: Story) -> None:
        paying.put(b.payout("entry-1", PrizeState.PAYING), b.payout("entry-2", PrizeState.UNKNOWN))
        assert broadcasts(after(paying, b.DELTA - 1), b.outcome_broadcasted()) == {"split"}

    def test_close_as_soon_as_every_winner_is_paid_and_gave_its_key(self, paying: Story) -> None:
        state = b.outcome_broadcasted()
        paying.put(b.payout("entry-1", PrizeState.PAID), f.EntryKeyHeld(entry_id="entry-1"))
        assert broadcasts(paying, state) == set()
        paying.put(b.payout("entry-2", PrizeState.PAID))
        assert broadcasts(paying, state) == set()
        assert broadcasts(paying.put(f.EntryKeyHeld(entry_id="entry-2")), state) == {"close"}
        assert broadcasts(after(paying, b.DELTA), state) == {"close"}

    def test_one_void_winner_is_split_through_the_other_ones_ticket(self, paying: Story) -> None:
        state = b.outcome_broadcasted(written_off=("entry-1",))
        assert broadcasts(after(paying, b.DELTA - 1), state) == {"split"}

    def test_only_void_winners_are_never_split_and_reclaimed_at_two_deltas(self, paying: Story) -> None:
        state = b.outcome_broadcasted(written_off=("entry-1", "entry-2"))
        assert broadcasts(after(paying, 2 * b.DELTA - 2), state) == set()
        assert broadcasts(after(paying, 2 * b.DELTA - 1), state) == {"reclaim"}
        paying.put(b.built("reclaim", b.STRANGER)).spend(OUTCOME_OUT, b.STRANGER)
        assert isinstance(paying.step(state), s.Completed)

    def test_close_ends_it_only_with_required_confirmations(self) -> None:
        story = Story(b.terms_with(b.MAINNET)).put(b.pinned(), b.contract_signed(), b.built("close", b.STRANGER))
        story.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, b.STRANGER)
        assert after(story, 1).step(b.outcome_broadcasted()) is None
        assert isinstance(after(story, 2).step(b.outcome_broadcasted()), s.Completed)

    def test_split_of_a_player_is_followed(self, paying: Story) -> None:
        assert paying.spend(OUTCOME_OUT, b.SPLIT).step(b.outcome_broadcasted()) == b.delta_broadcasted()

    def test_own_split_is_followed_as_soon_as_it_is_in_the_node(self, paying: Story) -> None:
        assert paying.put(f.Sent(role="split", txid=b.SPLIT)).step(b.outcome_broadcasted()) == b.delta_broadcasted()

    def test_players_expiry_is_followed_although_we_never_sent_one(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed(), b.attested()).spend(FUNDING_OUT, b.EXPIRED)
        assert story.step(b.outcome_broadcasted()) == b.expiry_broadcasted()
        assert len(states_of(story, b.expiry_broadcasted())) == 3

    def test_confirmed_outcome_is_followed_out_of_the_expiry_once_it_is_attested(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed(), b.oracle_event()).confirm(b.FUNDING)
        story.spend(FUNDING_OUT, b.OUTCOME)
        state = b.expiry_broadcasted()
        assert "oracle.poll_attestation" in story.kinds(state)
        assert after(story, b.DELTA).step(b.expiry_broadcasted()) is None
        assert broadcasts(story, state) == set()
        assert story.put(b.attested(3)).step(state) == b.outcome_broadcasted(3)

    def test_own_expiry_stays(self, story: Story) -> None:
        story.put(b.pinned(), b.contract_signed(), b.attested()).spend(FUNDING_OUT, b.EXPIRED)
        assert story.step(b.expiry_broadcasted()) is None
        assert "oracle.poll_attestation" not in story.kinds(b.expiry_broadcasted())


class TestSweeps:
    def test_paid_with_key_is_closed_paid_with_preimage_is_bought_back(self, split: Story) -> None:
        split.put(b.payout("entry-1", PrizeState.PAID), f.EntryKeyHeld(entry_id="entry-1"))
        split.put(b.payout("entry-2", PrizeState.PAID), f.PreimageHeld(entry_id="entry-2"))
        assert broadcasts(split, b.delta_broadcasted()) == {"sweep:close:entry-1", "sweep:sellback:entry-2"}

    def test_sweeps_wait_for_the_split_and_end_with_the_spend(self, split: Story) -> None:
        split.put(b.payout("entry-1", PrizeState.PAID), f.PreimageHeld(entry_id="entry-1"))
        unconfirmed = split.copy()
        del unconfirmed.world["confirmed"][b.SPLIT]
        assert broadcasts(unconfirmed, b.delta_broadcasted()) == {"split"}
        assert broadcasts(split.spend(f"{b.SPLIT}:0", b.STRANGER), b.delta_broadcasted()) == set()

    def test_unclaimed_share_is_reclaimed_at_two_deltas_of_the_split(self, split: Story) -> None:
        state = b.delta_broadcasted()
        assert broadcasts(after(split, 2 * b.DELTA - 2), state) == set()
        assert broadcasts(after(split, 2 * b.DELTA - 1), state) == {"sweep:reclaim:entry-1", "sweep:reclaim:entry-2"}

    @pytest.mark.parametrize("pending", [PrizeState.PAYING, PrizeState.UNKNOWN])
    def test_share_of_a_pending_payment_is_not_touched(self, split: Story, pending: PrizeState) -> None:
        split.put(b.payout("entry-1", pending), f.PreimageHeld(entry_id="entry-1"))
        assert broadcasts(after(split, 3 * b.DELTA), b.delta_broadcasted()) == {"sweep:reclaim:entry-2"}

    def test_void_share_returns_to_us(self, split: Story) -> None:
        state = b.delta_broadcasted(written_off=("entry-1",))
        assert "sweep:reclaim:entry-1" in broadcasts(after(split, 2 * b.DELTA - 1), state)

    def test_sweep_that_would_be_dust_is_recorded_once_and_does_not_hold_up_the_end(self, split: Story) -> None:
        for e in ("entry-1", "entry-2"):
            split.put(b.payout(e, PrizeState.PAID), f.PreimageHeld(entry_id=e))
        split.spend(f"{b.SPLIT}:1", b.STRANGER)
        assert broadcasts(split, b.delta_broadcasted()) == {"sweep:sellback:entry-1"}
        split.put(f.NeedsOperator(topic="dust/sweep:sellback:entry-1", reason="dust", resume="none"))
        assert broadcasts(split, b.delta_broadcasted()) == set()
        assert isinstance(split.step(b.delta_broadcasted()), s.Completed)

    def test_unpaid_share_that_nobody_can_take_has_an_end_of_its_own(self, split: Story) -> None:
        state = b.delta_broadcasted()
        split.put(b.payout("entry-2", PrizeState.PAID)).spend(f"{b.SPLIT}:1", b.STRANGER)
        late = after(split, 2 * b.DELTA - 1)
        assert late.step(state) is None
        assert broadcasts(late, state) == {"sweep:reclaim:entry-1"}
        late.put(f.NeedsOperator(topic="dust/sweep:reclaim:entry-1", reason="dust", resume="none"))
        assert states_of(late, state) == {"entry-1": "UNECONOMIC", "entry-2": "PAID"}
        assert broadcasts(late, state) == set()
        assert isinstance(late.step(state), s.Completed)

    def test_winner_that_takes_it_all_the_same_has_claimed_it(self, split: Story) -> None:
        trouble = f.NeedsOperator(topic="dust/sweep:reclaim:entry-1", reason="dust", resume="none")
        story = after(split.put(trouble).spend(f"{b.SPLIT}:0", b.STRANGER), 2 * b.DELTA)
        assert states_of(story, b.delta_broadcasted())["entry-1"] == "CLAIMED"

    def test_close_that_would_be_dust_leaves_it_to_the_split(self, paying: Story) -> None:
        for e in ("entry-1", "entry-2"):
            paying.put(b.payout(e, PrizeState.PAID), f.EntryKeyHeld(entry_id=e))
        state = b.outcome_broadcasted()
        assert broadcasts(paying, state) == {"close"}
        paying.put(f.NeedsOperator(topic="dust/close", reason="dust", resume="none"))
        assert broadcasts(paying, state) == set()
        assert broadcasts(after(paying, b.DELTA), state) == {"split"}

    def test_reclaim_of_the_outcome_that_would_be_dust_ends_it(self, paying: Story) -> None:
        state = b.outcome_broadcasted(written_off=("entry-1", "entry-2"))
        paying.put(f.NeedsOperator(topic="dust/reclaim", reason="dust", resume="none"))
        assert paying.step(state) is None
        assert isinstance(after(paying, 2 * b.DELTA).step(state), s.Completed)

    def test_completed_needs_every_prize_final_and_every_output_spent_deep_enough(self) -> None:
        story = Story(b.terms_with(b.MAINNET)).put(b.pinned(), b.contract_signed())
        story.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, b.SPLIT).spend(f"{b.SPLIT}:0", "0" * 64)
        story.put(b.payout("entry-2", PrizeState.PAID), f.PreimageHeld(entry_id="entry-2"))
        assert after(story, 5).step(b.delta_broadcasted()) is None
        story.spend(f"{b.SPLIT}:1", b.STRANGER, b.TIP + 5)
        assert after(story, 6).step(b.delta_broadcasted()) is None
        assert isinstance(after(story, 7).step(b.delta_broadcasted()), s.Completed)

    def test_pending_payment_holds_up_the_end(self, split: Story) -> None:
        split.put(b.payout("entry-1", PrizeState.PAYING), b.payout("entry-2", PrizeState.PAID))
        split.spend(f"{b.SPLIT}:1", b.STRANGER)
        assert after(split, 500).step(b.delta_broadcasted()) is None


class TestFundingAndReorg:
    def test_settle_is_wanted_only_at_required_confirmations(self, mainnet_story: Story) -> None:
        story = mainnet_story.put(*b.seats()).confirm(b.FUNDING)
        assert story.step(b.funding_broadcasted()) is None
        assert "ln.settle" not in after(story, 1).kinds(b.funding_confirmed())
        assert after(story, 1).step(b.funding_broadcasted()) is None
        assert after(story, 2).step(b.funding_broadcasted()) == b.funding_confirmed()
        wanted = {key for key in story.wants(b.funding_confirmed()) if key.startswith("ln.settle/")}
        assert wanted == {f"ln.settle/{b.ticket_hash(e)}" for e in b.ROSTER}

    def test_lightnings_own_cancel_is_never_settled(self, story: Story) -> None:
        story.put(*b.seats(b.ROSTER[1:]), *b.seats(b.ROSTER[:1], HoldState.CANCELED)).confirm(b.FUNDING)
        wanted = {key for key in story.wants(b.funding_confirmed()) if key.startswith("ln.settle/")}
        assert wanted == {f"ln.settle/{b.ticket_hash(e)}" for e in b.ROSTER[1:]}

    def test_reorged_funding_is_announced_again_in_every_later_state(self, story: Story) -> None:
        story.put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed(), b.attested())
        later = (
            b.funding_broadcasted(),
            b.awaiting_attestation(),
            b.outcome_broadcasted(),
            b.expiry_broadcasted(),
            b.delta_broadcasted(),
        )
        assert all("funding/1" in broadcasts(story, state) for state in later)
        story.confirm(b.FUNDING)
        assert all("funding/1" not in broadcasts(story, state) for state in later[1:])

    def test_reorged_outcome_is_announced_again_after_the_split_was_sent(self, paying: Story) -> None:
        paying.world["spent"] = {}
        assert broadcasts(paying, b.delta_broadcasted()) == {"outcome", "split"}
        assert broadcasts(paying, b.delta_broadcasted(outcome=None)) == {"expiry", "split"}

    def test_conflict_counts_only_with_required_confirmations(self, mainnet_story: Story) -> None:
        story = mainnet_story.put(*b.seats(), b.pinned(), b.built("funding", b.FUNDING)).spend(b.COIN, b.STRANGER)
        assert after(story, 1).step(b.funding_broadcasted()) is None
        assert isinstance(after(story, 2).step(b.funding_broadcasted()), s.Returning)


class TestWatching:
    def test_watched_grows_along_the_chain_of_transactions(self, paying: Story) -> None:
        at_signing = watched(b.awaiting_signing(), paying.lane)
        assert at_signing.transactions == {b.FUNDING: PINNED}
        assert at_signing.outpoints == {FUNDING_OUT: PINNED, b.COIN: PINNED}
        assert OUTCOME_OUT in watched(b.outcome_broadcasted(), paying.lane).outpoints
        at_split = watched(b.delta_broadcasted(), paying.lane)
        assert set(at_split.transactions) == {b.FUNDING, b.OUTCOME, b.SPLIT}
        assert {f"{b.SPLIT}:0", f"{b.SPLIT}:1"} <= set(at_split.outpoints)

    def test_what_spends_a_watched_output_is_where_that_is_spent_or_still_to_come(self, paying: Story) -> None:
        paying.put(f.Sent(role="outcome", txid=b.OUTCOME))
        unspent = watched(b.delta_broadcasted(), paying.copy().set(spent={}).lane)
        assert {unspent.transactions[b.SPLIT], unspent.outpoints[f"{b.SPLIT}:0"]} == {b.TIP + 1}
        spent = paying.spend(FUNDING_OUT, b.OUTCOME, b.TIP - 7).spend(OUTCOME_OUT, b.SPLIT, b.TIP - 3)
        found = watched(b.delta_broadcasted(), spent.lane)
        assert (found.transactions[b.OUTCOME], found.outpoints[OUTCOME_OUT]) == (b.TIP - 7, b.TIP - 7)
        assert (found.transactions[b.SPLIT], found.outpoints[f"{b.SPLIT}:0"]) == (b.TIP - 3, b.TIP - 3)
        assert found.transactions[b.FUNDING] == PINNED

    def test_what_a_payer_of_fees_rescues_tells_where_it_is(self, paying: Story) -> None:
        bump = f.Bumped(
            attempt=1, role="outcome", number=1, bump=f.BumpKind.CHILD, txid="bb" * 32, fee=Sats(9), spends=FUNDING_OUT
        )
        found = watched(b.outcome_broadcasted(), paying.put(bump).spend(FUNDING_OUT, b.OUTCOME, b.TIP - 7).lane)
        assert found.transactions["bb" * 32] == b.TIP - 7

    def test_payment_retry_is_a_timer(self, paying: Story) -> None:
        paying.put(b.payout("entry-1", PrizeState.PAYING, next_try=UnixTime(b.WALL + 30)))
        found = deadline(b.outcome_broadcasted(), paying.lane)
        assert (found.wall, found.height) == (b.WALL + 30, b.TIP + 1)
        assert deadline(b.outcome_broadcasted(), paying.set(wall=b.WALL + 30).lane).wall is None

    def test_ended_competitions_rest(self, paying: Story) -> None:
        for state in (s.Completed(funding_txid=b.FUNDING, outcome=0), s.Cancelled(reason=""), s.Failed(reason="")):
            found = deadline(state, paying.lane)
            assert (found.wall, found.domain, found.height) == (None, None, None)
            assert paying.kinds(state) == set()
