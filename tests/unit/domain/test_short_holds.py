"""Funding broadcast and holds running short: one decision for all tickets (money section 3)."""

from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator_core.competition.schedule import latest_funding
from tests.support import lanes as b
from tests.support.lanes import Story

LATEST = latest_funding(b.terms_with())


@pytest.fixture
def left(story: Story) -> Story:
    """The funding left and is in no block."""
    return story.put(*b.seats(), b.pinned(), b.contract_signed(), b.built("funding", b.FUNDING))


def kinds(story: Story) -> set[str]:
    return {key for key in story.wants(b.funding_broadcasted()) if not key.startswith("ln.watch_invoice/")}


def of_all(kind: str) -> set[str]:
    return {f"{kind}/{b.ticket_hash(e)}" for e in b.ROSTER}


@pytest.mark.parametrize("tip", [b.DEADLINE + 17, b.DEADLINE + 18])
def test_decided_from_eighteen_blocks_after_f(left: Story, tip: int) -> None:
    longer = [b.invoice(e, expiry_height=b.DEADLINE + 200) for e in b.ROSTER]
    left.facts = [fact for fact in left.facts if not isinstance(fact, f.Invoice)] + [*longer]
    due = "ln.decide_holds/1" in kinds(left.set(tip=tip))
    assert due is (tip == b.DEADLINE + 18)


@pytest.mark.parametrize("blocks", [7, 6])
def test_decided_when_the_shortest_hold_has_six_blocks_left(left: Story, blocks: int) -> None:
    left.put(b.invoice("entry-2", expiry_height=b.TIP + 18 + blocks))
    assert ("ln.decide_holds/1" in kinds(left)) is (blocks == 6)


SENT = f.Sent(role="funding", txid=b.FUNDING)
FUNDS = "chain.broadcast/funding/1"


@pytest.mark.parametrize("world", [{"tip": b.DEADLINE + 1}, {"now": LATEST + 1}], ids=["past F", "observation near"])
def test_built_and_not_sent_is_not_announced_any_more_once_it_may_not_leave(left: Story, world: dict[str, Any]) -> None:
    """The node was away, or we were: nobody may have a free option on what is observed."""
    left.facts = [fact for fact in left.facts if not isinstance(fact, f.Invoice)]
    left.put(*(b.invoice(e, expiry_height=b.DEADLINE + 200) for e in b.ROSTER))
    assert FUNDS in kinds(left.copy().set(tip=b.DEADLINE, now=LATEST))
    assert FUNDS not in kinds(left.set(**world))
    assert left.step(b.funding_broadcasted()) is None
    assert FUNDS in kinds(left.put(SENT))


def test_built_and_not_sent_is_not_announced_over_a_hold_that_was_lost(left: Story) -> None:
    left.put(b.invoice("entry-2", HoldState.CANCELED))
    assert FUNDS not in kinds(left)
    assert FUNDS in kinds(left.put(SENT))


def test_what_never_left_is_given_back_at_the_decision(left: Story) -> None:
    assert kinds(left.set(tip=b.DEADLINE + 18)) == {"ln.decide_holds/1"}
    left.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.DEADLINE + 18)))
    assert kinds(left) == {"chain.broadcast/take-back/1"} | of_all("ln.cancel")


def test_a_settled_ticket_keeps_its_contract_whatever_was_decided(left: Story) -> None:
    """A reorg took the funding out after the first ticket was settled, and the node had lost it when it was asked."""
    left.put(b.invoice("entry-1", HoldState.SETTLED))
    left.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.DEADLINE + 18)))
    wanted = kinds(left.set(tip=b.DEADLINE + 18))
    assert FUNDS in wanted
    assert "chain.broadcast/take-back/1" not in wanted
    assert {key for key in wanted if key.startswith("ln.")} == of_all("ln.cancel") - {
        f"ln.cancel/{b.ticket_hash('entry-1')}"
    }


def test_settled_all_when_the_node_held_the_funding(left: Story) -> None:
    left.put(f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP)))
    # Tickets are settled over an unconfirmed funding: it is bumped until it confirms.
    assert kinds(left) == {"chain.broadcast/funding/1", "chain.bump/funding/1"} | of_all("ln.settle")


def test_canceled_all_and_the_coin_taken_back_when_it_did_not(left: Story) -> None:
    left.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.TIP)))
    assert kinds(left) == {"chain.broadcast/take-back/1"} | of_all("ln.cancel")
    left.spend(b.COIN, b.STRANGER)
    ended = left.step(b.funding_broadcasted())
    assert isinstance(ended, s.Returning)
    assert ended.ends_in == "failed"


def test_funding_that_confirms_after_the_cancel_writes_the_tickets_off(left: Story) -> None:
    left.facts = [fact for fact in left.facts if not isinstance(fact, f.Invoice)]
    left.put(*(b.invoice(e, HoldState.CANCELED) for e in b.ROSTER))
    left.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.TIP))).confirm(b.FUNDING)
    state, _ = left.run(b.funding_broadcasted())
    assert state == b.awaiting_attestation(written_off=b.ROSTER)
