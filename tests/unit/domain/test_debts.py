"""Tickets settled without a contract: a debt each, written down before the competition may end."""

from coordinator.domain import facts as f
from coordinator.domain.competitions import debts
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.views.books import lightning_rows
from coordinator_core.receipts.debt import DebtReason
from tests.support import lanes as b
from tests.support.lanes import Story

RETURNING = s.Returning(reason="r", ends_in="failed")


def test_each_settled_ticket_is_written_down_once(story: Story) -> None:
    story.put(*b.seats(("entry-1", "entry-2"), HoldState.SETTLED), *b.seats(("entry-3",), HoldState.CANCELED))
    wanted = {f"debt.record/{b.ticket_hash(e)}" for e in ("entry-1", "entry-2")}
    assert set(story.wants(RETURNING)) == wanted
    story.put(b.owed("entry-1"))
    assert set(story.wants(RETURNING)) == {f"debt.record/{b.ticket_hash('entry-2')}"}
    assert story.put(b.owed("entry-2")).wants(RETURNING) == {}


def test_a_debt_of_another_kind_does_not_stand_for_the_ticket(story: Story) -> None:
    story.put(*b.seats(("entry-1",), HoldState.SETTLED), b.owed("entry-1", reason=DebtReason.COORDINATOR_FEE))
    assert set(story.wants(RETURNING)) == {f"debt.record/{b.ticket_hash('entry-1')}"}


def test_settled_tickets_of_a_contract_are_no_debt(story: Story) -> None:
    story.put(*b.seats(state=HoldState.SETTLED))
    for state in (b.funding_confirmed(), b.awaiting_attestation(), s.Completed(funding_txid=b.FUNDING, outcome=0)):
        assert not any(key.startswith("debt.") for key in story.wants(state))


def test_settled_by_the_exception_then_conflicted_ends_only_with_its_debts(story: Story) -> None:
    """Settle while the node holds the funding; then another transaction takes its coin (money section 3)."""
    story.put(*b.seats(b.ROSTER[:2], HoldState.SETTLED), *b.seats(b.ROSTER[2:]), b.pinned(), b.contract_signed())
    story.put(b.built("funding", b.FUNDING), f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP)))
    story.spend(b.COIN, b.STRANGER)
    state, _ = story.run(b.funding_broadcasted())
    assert isinstance(state, s.Returning)
    assert set(story.wants(state)) >= {f"ln.cancel/{b.ticket_hash('entry-3')}"} | {
        f"debt.record/{b.ticket_hash(e)}" for e in b.ROSTER[:2]
    }
    story.put(*(b.owed(e) for e in b.ROSTER[:2]))
    assert isinstance(story.run(RETURNING)[0], s.Returning)
    story.facts = [fact for fact in story.facts if fact != b.invoice("entry-3")]
    state, _ = story.put(b.invoice("entry-3", HoldState.CANCELED)).run(RETURNING)
    assert isinstance(state, s.Failed)


def test_a_debt_stands_against_the_money_that_came_in(story: Story) -> None:
    story.put(*b.seats(("entry-1", "entry-2"), HoldState.SETTLED), *b.seats(("entry-3",), HoldState.CANCELED))
    assert sum(row.amount for row in lightning_rows(story.lane)) == 2 * 52_400
    story.put(b.owed("entry-1"), b.owed("entry-2"))
    rows = {row.account: row.amount for row in lightning_rows(story.lane)}
    assert rows["tickets owed"] == -2 * 52_400
    assert sum(rows.values()) == 0
    assert [owed.amount for owed in debts.of_entry(story.lane, "entry-1")] == [52_400]
    assert debts.of_entry(story.lane, "entry-3") == ()
