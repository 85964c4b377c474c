"""The contract of a competition, also of one that is over: read again from its facts."""

from __future__ import annotations

import pytest

from coordinator.domain.competitions import paid_out
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, Sent
from tests.support import lanes as b

OVER = s.Completed(funding_txid=b.FUNDING, outcome=0)
EXPIRED = s.Completed(funding_txid=b.FUNDING, outcome=None)


@pytest.fixture
def story() -> b.Story:
    """Two contracts were pinned; the first was funded and split."""
    facts = [*b.seats(b.ROSTER, HoldState.SETTLED), b.pinned(), b.session(), b.contract_signed()]
    made = b.Story().put(*facts).confirm(b.FUNDING)
    return made.spend(f"{b.FUNDING}:0", b.OUTCOME)


class TestWhoseContract:
    @pytest.mark.parametrize(
        ("state", "attempt"),
        [(b.awaiting_attestation(), 1), (b.awaiting_keygen(2), 2), (OVER, 1), (s.Created(), None)],
    )
    def test_it_is_that_of_the_running_attempt_or_the_one_that_was_funded(
        self, story: b.Story, state: s.Competition, attempt: int | None
    ) -> None:
        assert paid_out.attempt_of(state, story.lane) == attempt

    def test_one_that_was_abandoned_never_counts(self, story: b.Story) -> None:
        pin = paid_out.pinned_of(OVER, story.put(b.pinned(2)).lane)
        assert pin is not None
        assert pin.attempt == 1
        assert paid_out.pinned_of(s.Created(), story.lane) is None
        assert paid_out.pinned_of(s.Completed(funding_txid="", outcome=None), story.lane) is None

    @pytest.mark.parametrize(
        ("state", "roster"),
        [(b.awaiting_attestation(), b.ROSTER), (OVER, b.ROSTER), (s.Created(), ())],
    )
    def test_its_players(self, story: b.Story, state: s.Competition, roster: tuple[str, ...]) -> None:
        assert paid_out.roster_of(state, story.lane) == roster

    def test_nobody_without_a_contract(self) -> None:
        assert paid_out.roster_of(OVER, b.Story().lane) == ()


def test_a_ticket_is_as_lightning_says(story: b.Story) -> None:
    assert paid_out.ticket_state(story.lane, "entry-1") is HoldState.SETTLED
    assert paid_out.ticket_state(b.Story().put(b.ticket("entry-1")).lane, "entry-1") is None
    assert paid_out.ticket_state(story.lane, "nobody") is None


class TestSettledState:
    def test_one_that_pays_out_is_itself(self, story: b.Story) -> None:
        state = b.outcome_broadcasted()
        assert paid_out.settled_state(state, story.lane) is state

    @pytest.mark.parametrize("state", [b.awaiting_attestation(), s.Created(), s.Completed(funding_txid="", outcome=0)])
    def test_none_before_the_outcome_or_where_the_facts_do_not_tell(self, story: b.Story, state: s.Competition) -> None:
        assert paid_out.settled_state(state, story.lane) is None

    @pytest.mark.parametrize(("over", "first"), [(OVER, b.outcome_broadcasted()), (EXPIRED, b.expiry_broadcasted())])
    def test_an_output_that_nobody_spent_or_that_we_closed_was_not_split(
        self, story: b.Story, over: s.Competition, first: s.Competition
    ) -> None:
        assert paid_out.settled_state(over, story.lane) == first
        story.put(b.built("close", b.SPLIT)).spend(f"{b.OUTCOME}:0", b.SPLIT)
        assert paid_out.settled_state(over, story.lane) == first

    @pytest.mark.parametrize("outcome", [0, None])
    def test_one_that_another_spent_was_split(self, story: b.Story, outcome: int | None) -> None:
        story.put(Sent(role="split", txid=b.SPLIT)).spend(f"{b.OUTCOME}:0", b.SPLIT)
        over = s.Completed(funding_txid=b.FUNDING, outcome=outcome)
        assert paid_out.settled_state(over, story.lane) == b.delta_broadcasted(outcome)

    def test_a_ticket_that_was_canceled_was_written_off(self) -> None:
        held = [*b.seats(b.ROSTER[1:], HoldState.SETTLED), *b.seats(["entry-1"], HoldState.CANCELED)]
        story = b.Story().put(*held, b.pinned(), b.session()).confirm(b.FUNDING)
        found = paid_out.settled_state(OVER, story.spend(f"{b.FUNDING}:0", b.OUTCOME).lane)
        assert isinstance(found, s.OutcomeBroadcasted)
        assert (found.written_off, found.contract) == (("entry-1",), "")
