"""What a reorg can do after the result is known: another outcome than the one we closed, or no contract at all."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import debts, settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator_core.units import Sats
from tests.support import lanes as b
from tests.support.lanes import MAINNET, Story

FUNDING_OUT = f"{b.FUNDING}:0"
SETTLING = [b.outcome_broadcasted(), b.expiry_broadcasted(), b.delta_broadcasted()]
NAMES = [type(state).__name__ for state in SETTLING]


def fresh(state: Any) -> Any:
    """The same state, not consumed by another test."""
    return type(state)(**{name: getattr(state, name) for name in state.__struct_fields__})


class TestConflict:
    """Another spend of a coin of the funding, as deep as the terms ask: the contract never comes back."""

    @pytest.fixture
    def story(self) -> Story:
        story = Story(b.terms_with(MAINNET)).put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed())
        return story.put(b.attested()).spend(b.COIN, b.STRANGER, b.TIP - 2)

    @pytest.mark.parametrize("state", SETTLING, ids=NAMES)
    def test_leads_to_returning_with_every_ticket_owed(self, story: Story, state: Any) -> None:
        left = story.step(fresh(state))
        assert isinstance(left, s.Returning)
        assert left.ends_in == "failed"
        assert story.kinds(left) == {"debt.record"}
        assert len(story.wants(left)) == 3
        story.put(*(b.owed(entry_id) for entry_id in b.ROSTER))
        assert isinstance(story.step(left), s.Failed)

    @pytest.mark.parametrize("state", SETTLING, ids=NAMES)
    def test_one_that_is_not_deep_enough_decides_nothing(self, story: Story, state: Any) -> None:
        story.spend(b.COIN, b.STRANGER, b.TIP - 1)
        assert story.step(fresh(state)) is None

    @pytest.mark.parametrize("state", SETTLING, ids=NAMES)
    def test_the_funding_itself_is_no_conflict(self, story: Story, state: Any) -> None:
        story.spend(b.COIN, b.FUNDING, b.TIP - 9)
        assert story.step(fresh(state)) is None

    @pytest.mark.parametrize("paid", [52_400, 90_000])
    def test_who_was_paid_as_much_as_its_ticket_is_owed_nothing_more(self, story: Story, paid: int) -> None:
        story.put(b.payout("entry-1", PrizeState.PAID, amount=Sats(paid)))
        assert [invoice.entry_id for invoice in debts.unrecorded(story.lane)] == ["entry-2", "entry-3"]

    def test_who_was_paid_less_is_owed_the_rest(self, story: Story) -> None:
        story.put(b.payout("entry-1", PrizeState.PAID, amount=Sats(1_000)))
        due = {i.entry_id: debts.still_due(story.lane, i) for i in debts.unrecorded(story.lane)}
        assert due == {"entry-1": 51_400, "entry-2": 52_400, "entry-3": 52_400}

    @pytest.mark.parametrize("pending", [PrizeState.PAYING, PrizeState.UNKNOWN])
    def test_nothing_is_decided_while_a_payment_may_still_arrive(self, story: Story, pending: PrizeState) -> None:
        returning = s.Returning(reason="r", ends_in="failed")
        story.put(b.payout("entry-1", pending), b.owed("entry-2"), b.owed("entry-3"))
        assert story.kinds(returning) == {"ln.pay"}
        assert story.step(returning) is None
        story.put(b.payout("entry-1", PrizeState.CLAIMABLE))
        assert story.kinds(returning) == {"debt.record"}
        assert isinstance(story.put(b.owed("entry-1")).step(returning), s.Failed)


class TestEquivocation:
    """The oracle signed two outcomes, and the one that it did not attest to us is in the chain."""

    @pytest.fixture
    def story(self) -> Story:
        story = Story(b.terms_with(MAINNET)).put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed())
        return story.put(b.attested()).confirm(b.FUNDING, b.TIP - 9)

    @pytest.mark.parametrize("state", SETTLING, ids=NAMES)
    def test_stops_the_competition_before_another_prize_is_paid(self, story: Story, state: Any) -> None:
        assert settling.decided(story.lane, b.outcome_broadcasted())
        story.spend(FUNDING_OUT, b.STRANGER)
        assert not settling.decided(story.lane, fresh(state))
        with pytest.raises(settling.Equivocated, match=f"{b.STRANGER} is confirmed, and pays out another outcome"):
            story.step(fresh(state))
        story.spend(FUNDING_OUT, b.STRANGER, b.TIP - 5)
        assert not settling.decided(story.lane, fresh(state))

    @pytest.mark.parametrize("state", SETTLING, ids=NAMES)
    @pytest.mark.parametrize("txid", [b.OUTCOME, b.EXPIRED])
    def test_our_outcome_and_the_expiry_are_none(self, story: Story, state: Any, txid: str) -> None:
        story.spend(FUNDING_OUT, txid, b.TIP - 5)
        story.step(fresh(state))
        assert settling.decided(story.lane, fresh(state))

    def test_before_any_attestation_the_oracle_is_asked_again(self, story: Story) -> None:
        story.facts = [fact for fact in story.facts if fact.kind() != "attested"]
        story.put(b.oracle_event()).spend(FUNDING_OUT, b.STRANGER, b.TIP - 5)
        assert story.step(b.expiry_broadcasted()) is None
        assert "oracle.poll_attestation" in story.kinds(b.expiry_broadcasted())

    def test_a_reorg_that_brings_ours_back_lets_it_go_on(self, story: Story) -> None:
        story.spend(FUNDING_OUT, b.STRANGER).spend(FUNDING_OUT, b.OUTCOME, b.TIP - 5)
        assert story.step(b.outcome_broadcasted()) is None
        assert settling.decided(story.lane, b.outcome_broadcasted())


class TestCloseOfAnotherOutcome:
    """Every winner was paid and gave its key, the close was signed; then the expiry confirmed instead."""

    @pytest.fixture
    def story(self) -> Story:
        story = Story().put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed(), b.attested())
        story.put(b.built("close", b.STRANGER, spends=f"{b.OUTCOME}:0"), f.Sent(role="close", txid=b.STRANGER))
        for entry_id in b.ROSTER:
            story.put(b.payout(entry_id, PrizeState.PAID), f.EntryKeyHeld(entry_id=entry_id))
        return story.confirm(b.FUNDING).spend(FUNDING_OUT, b.EXPIRED)

    def roles(self, story: Story, tip: int) -> set[str]:
        wanted = story.set(tip=tip).wants(b.expiry_broadcasted()).values()
        return {duty.role for duty in wanted if duty.kind() == "chain.broadcast"}  # type: ignore[attr-defined]

    def test_is_not_announced_and_does_not_hold_up_the_split(self, story: Story) -> None:
        assert not settling.closable(story.lane, b.expiry_broadcasted())
        assert self.roles(story, b.TIP + b.DELTA - 2) == set()
        assert self.roles(story, b.TIP + b.DELTA - 1) == {"split"}

    def test_one_of_the_outcome_that_confirmed_does(self, story: Story) -> None:
        story.facts = [fact for fact in story.facts if fact.kind() != "built"]
        story.put(b.built("close", b.STRANGER, spends=f"{b.EXPIRED}:0"))
        assert self.roles(story, b.TIP + b.DELTA) == {"close"}
