"""Books of one competition: where its money stands, and what does not add up."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.engine.money.books import LaneBooks, books_of, gap
from coordinator_core.units import Sats
from tests.support import lanes as b

STAKE = 50_000
POOL = 3 * STAKE
PRICE = 52_400
SETTLED = HoldState.SETTLED


def funded(*facts: f.Fact, states: HoldState = SETTLED) -> b.Story:
    return (
        b.Story().put(*b.seats(state=states), b.pinned(), b.session(), b.contract_signed(), *facts).confirm(b.FUNDING)
    )


def shares(state: Any = None) -> tuple[settling.Share, ...]:
    return settling.shares(funded().lane, b.ROSTER, 0)


FIRST, SECOND = shares()


def paid(share: settling.Share, **changes: Any) -> f.Payout:
    return b.payout(share.entry_id, PrizeState.PAID, **{"amount": share.net, **changes})


def split() -> b.Story:
    """The outcome is confirmed and split."""
    sent = f.Sent(role="outcome", txid=b.OUTCOME)
    story = funded(b.attested(), sent, f.Sent(role="split", txid=b.SPLIT)).confirm(b.OUTCOME).confirm(b.SPLIT)
    return story.spend(f"{b.FUNDING}:0", b.OUTCOME).spend(f"{b.OUTCOME}:0", b.SPLIT)


class TestWhereItStands:
    def test_held_tickets_are_nobodys(self) -> None:
        made = books_of(s.CollectingEntries(terms_hash="h"), b.Story().put(*b.seats()).lane)
        assert made == LaneBooks(held=3 * PRICE)
        assert made.liabilities == 0

    def test_a_contract_holds_the_pool_and_owes_it(self) -> None:
        made = books_of(b.awaiting_attestation(), funded().lane)
        assert made == LaneBooks(in_contract=POOL, unpaid=POOL)

    def test_a_paid_prize_stands_in_the_contract_until_it_is_swept(self) -> None:
        made = books_of(b.delta_broadcasted(), split().put(paid(FIRST)).lane)
        assert made == LaneBooks(in_contract=POOL, paid=FIRST.net, unpaid=SECOND.gross)

    def test_swept_after_the_payment(self) -> None:
        role = f"sweep:sellback:{FIRST.entry_id}"
        story = split().put(paid(FIRST), b.built(role, "aa" * 32)).spend(f"{b.SPLIT}:{FIRST.vout}", "aa" * 32)
        made = books_of(b.delta_broadcasted(), story.lane)
        assert made == LaneBooks(in_contract=SECOND.gross, paid=FIRST.net, swept=FIRST.gross, unpaid=SECOND.gross)

    def test_claimed_by_its_winner(self) -> None:
        story = split().spend(f"{b.SPLIT}:{FIRST.vout}", b.STRANGER)
        made = books_of(b.delta_broadcasted(), story.lane)
        assert made == LaneBooks(in_contract=SECOND.gross, unpaid=SECOND.gross)

    @pytest.mark.parametrize("state", [b.delta_broadcasted(), s.Completed(funding_txid=b.FUNDING, outcome=0)])
    def test_taken_back_unpaid_is_owed(self, state: s.Competition) -> None:
        story = split().put(paid(SECOND))
        for share, how in ((FIRST, "reclaim"), (SECOND, "sellback")):
            name = f"{share.vout:02x}" * 32
            story.put(b.built(f"sweep:{how}:{share.entry_id}", name)).spend(f"{b.SPLIT}:{share.vout}", name)
        made = books_of(state, story.lane)
        assert made == LaneBooks(owed=FIRST.net, paid=SECOND.net, swept=POOL)
        assert made.liabilities == FIRST.net

    @pytest.mark.parametrize("state", [b.delta_broadcasted(), s.Completed(funding_txid=b.FUNDING, outcome=0)])
    def test_what_nobody_can_take_is_neither_held_nor_owed(self, state: s.Competition) -> None:
        trouble = f.NeedsOperator(topic=f"dust/sweep:reclaim:{FIRST.entry_id}", reason="dust", resume="none")
        story = split().put(paid(SECOND), trouble, b.built(f"sweep:sellback:{SECOND.entry_id}", "aa" * 32))
        story.spend(f"{b.SPLIT}:{SECOND.vout}", "aa" * 32).set(tip=b.TIP + 2 * b.DELTA)
        made = books_of(state, story.lane)
        assert made == LaneBooks(paid=SECOND.net, swept=SECOND.gross, left=FIRST.gross)
        assert made.liabilities == 0

    def test_a_ticket_that_was_settled_early_is_a_liability(self) -> None:
        story = b.Story().put(*b.seats(state=SETTLED), b.pinned())
        assert books_of(b.funding_broadcasted(), story.lane).settled_early == 3 * PRICE
        returning = s.Returning(reason="r", ends_in="failed")
        made = books_of(returning, story.put(b.owed("entry-1")).lane)
        assert (made.settled_early, made.owed, made.liabilities) == (2 * PRICE, PRICE, 3 * PRICE)


class TestWhatDoesNotAddUp:
    """Each of these cannot happen by the rules, and is planted here."""

    @pytest.mark.parametrize(
        ("state", "story", "words"),
        [
            (b.delta_broadcasted(), split().put(paid(FIRST, amount=Sats(FIRST.net + 1))), "and won"),
            (b.delta_broadcasted(), split().put(b.payout("entry-5", PrizeState.PAID)), "won nothing"),
            (b.awaiting_attestation(), funded().put(paid(FIRST)), "before the outcome"),
            (
                s.Cancelled(reason="r"),
                b.Story().put(*b.seats(["entry-1"], SETTLED)),
                "neither in a contract nor owed",
            ),
            (s.Failed(reason="r"), b.Story().put(paid(FIRST)), "although there was no contract"),
            (b.awaiting_attestation(), funded(*b.seats(["entry-4"], SETTLED)), "outside of the contract"),
            (b.awaiting_attestation(), funded(states=HoldState.ACCEPTED), "neither settled nor written off"),
        ],
    )
    def test_it_is_named(self, state: s.Competition, story: b.Story, words: str) -> None:
        assert any(words in fault for fault in books_of(state, story.lane).faults)

    def test_a_ticket_settled_for_another_price(self) -> None:
        less = f.Ticket(
            **{**{n: getattr(b.ticket("entry-1"), n) for n in f.Ticket.__struct_fields__}, "network_fee": 1}
        )
        [fault] = books_of(b.awaiting_attestation(), funded().put(less).lane).faults
        assert "its price is 51501" in fault

    @pytest.mark.parametrize(
        ("state", "story"),
        [
            (s.Cancelled(reason="r"), b.Story().put(*b.seats(["entry-1"], SETTLED), b.owed("entry-1"))),
            (s.Cancelled(reason="r"), b.Story().put(*b.seats(state=HoldState.CANCELED))),
            (b.funding_confirmed(), funded(states=HoldState.ACCEPTED)),
            (b.awaiting_attestation(("entry-3",)), funded().put(b.invoice("entry-3", HoldState.CANCELED))),
            (b.delta_broadcasted(), split().put(paid(FIRST), paid(SECOND))),
            (s.Completed(funding_txid=b.FUNDING, outcome=0), split().put(paid(FIRST), paid(SECOND))),
            (s.Created(), b.Story()),
        ],
    )
    def test_what_adds_up_is_not(self, state: s.Competition, story: b.Story) -> None:
        assert books_of(state, story.lane).faults == ()


def test_gap() -> None:
    books = [LaneBooks(in_contract=POOL, unpaid=POOL), LaneBooks(owed=100), LaneBooks(held=9_999, settled_early=50)]
    assert gap(books, wallet=Sats(60), channels=Sats(70), in_transit=0) == 20
    assert gap(books, wallet=Sats(60), channels=Sats(70), in_transit=40) == -20
