"""Rules that others' mistakes taught: ways to give money back, and what may never end or confirm a competition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.duties import Channel
from coordinator.domain.facts import Fact, HoldState
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import MAINNET, Story, terms_with

OPEN = "h"
CANCEL = f.CancelAsked(by="operator", reason="rain everywhere")
OWNERS = [f.CancelAsked(by=who * 64, reason="storm", is_owner=True) for who in "ab"]
LONG_AFTER = {"wall": b.WALL + 90 * 86_400, "now": b.EXPIRY - 1, "tip": b.DEADLINE + 17}


def collecting() -> s.CollectingEntries:
    return s.CollectingEntries(terms_hash=OPEN)


def escrow_confirmed() -> s.EscrowConfirmed:
    return s.EscrowConfirmed(roster=b.ROSTER)


@dataclass(frozen=True)
class Death:
    """A way in which a competition ends before its funding."""

    name: str
    state: Callable[[], s.Competition]
    facts: list[Fact] = field(default_factory=list[Fact])
    world: dict[str, Any] = field(default_factory=dict[str, Any])


CLOSED = {"now": b.END_OF_CLOSING}
DEATHS = [
    Death("cancelled while open", collecting, [CANCEL]),
    Death("never filled", collecting, [], {"now": b.CLOSE}),
    Death("too late to start", b.awaiting_escrow, [b.holds_read(0)], {"tip": b.DEADLINE - 5}),
    Death("holds were never read", b.awaiting_escrow, [], CLOSED),
    Death("the oracle assesses nothing", escrow_confirmed, [], CLOSED),
    Death("the oracle announces nothing", b.event_created, [], CLOSED),
    Death("keymeld opens no session", b.awaiting_keygen, [], CLOSED),
    Death("keymeld fails for the last time", lambda: b.awaiting_keygen(8), [f.AttemptFault(attempt=8, reason="x")]),
    Death("nobody seals", b.awaiting_keygen, [b.session()], {"wall": b.WALL + b.SEALING}),
    Death("kick-off is held back", b.entries_submitted, [], CLOSED),
    Death("nobody approves", b.awaiting_signing, [b.batches()], {"wall": b.WALL + b.APPROVALS}),
    Death("past the funding deadline", b.funding_ready, [], {"tip": b.DEADLINE + 1}),
    Death("a hold is lost", b.funding_ready, [b.holds_read(1, lost=("entry-1",))]),
    Death("the funding never left", b.funding_broadcasted, [], {"tip": b.DEADLINE + 1}),
    *(
        Death(f"owners agreed in {make().__class__.__name__}", make, list(OWNERS), {"now": b.CLOSE})
        for make in (
            collecting,
            b.awaiting_escrow,
            escrow_confirmed,
            b.event_created,
            b.awaiting_keygen,
            b.entries_submitted,
            b.awaiting_signing,
            b.funding_ready,
        )
    ),
]


def under_way(state: HoldState) -> list[Fact]:
    """Two of the roster (one is not enough for a third seat), a latecomer, and one that paid and never signed."""
    unsigned = [b.ticket("entry-5"), b.invoice("entry-5", state)]
    return [*b.seats(("entry-1", "entry-2", "entry-4"), state), *unsigned]


@pytest.mark.parametrize("hold", [HoldState.OPEN, HoldState.ACCEPTED])
@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.name)
def test_every_end_before_the_funding_gives_every_hold_back(death: Death, hold: HoldState) -> None:
    """However it died, whoever paid: each invoice that could still be paid or settled is canceled, and it ends then."""
    facts = under_way(hold)
    if death.name == "never filled":
        facts = [fact for fact in facts if getattr(fact, "entry_id", "") != "entry-4"]
    story = Story(facts=[*facts, *death.facts], world=dict(death.world))
    state, _ = story.run(death.state())
    assert isinstance(state, s.Returning)
    live = {fact.payment_hash for fact in facts if isinstance(fact, f.Invoice)}
    assert {key for key in story.wants(state) if key.startswith("ln.cancel/")} == {f"ln.cancel/{name}" for name in live}
    assert not any(key.startswith(("ln.settle/", "ln.create_invoice/")) for key in story.wants(state))
    story.facts = [fact for fact in story.facts if not isinstance(fact, f.Invoice)]
    for entry_id in ("entry-1", "entry-2", "entry-4", "entry-5"):
        story.put(b.invoice(entry_id, HoldState.CANCELED))
    ended, _ = story.run(state)
    assert isinstance(ended, s.Cancelled | s.Failed)


def test_every_state_before_the_funding_has_a_death() -> None:
    died = {type(death.state()) for death in DEATHS}
    after = {type(make()) for make in AFTER}
    ended = {s.Completed, s.Cancelled, s.Failed, s.Returning}
    assert set(s.Competition.__args__) - after - ended - died == {s.Created}


AFTER: list[Callable[[], s.Competition]] = [
    b.funding_confirmed,
    b.awaiting_attestation,
    b.outcome_broadcasted,
    b.expiry_broadcasted,
    b.delta_broadcasted,
]
SIGNING: list[Fact] = [
    *b.seats(),
    b.session(),
    *(b.seal(e) for e in b.ROSTER),
    b.batches(),
    *b.approvals(),
    f.BatchHung(attempt=1, session_id="batch-1-1", reason="x"),
]
TROUBLE: list[Fact] = [
    *(f.AttemptFault(attempt=attempt, reason="epoch changed") for attempt in range(1, 9)),
    f.NeedsOperator(topic="t", reason="r", resume="x"),
    f.Outage(service="keymeld", since=UnixTime(b.WALL), until=UnixTime(b.WALL + 9_000)),
    f.BelowFloor(attempt=1, role="funding"),
    CANCEL,
    *OWNERS,
]


@pytest.mark.parametrize("make", [b.funding_broadcasted, *AFTER], ids=lambda make: make.__name__)
def test_from_the_funding_on_nothing_is_asked_of_keymeld(make: Callable[[], s.Competition]) -> None:
    """Its sessions are deleted when they expire: all that is needed of them is stored and verified by then."""
    story = Story().put(*SIGNING, b.keygen(), b.pinned(), b.contract_signed(), b.built("funding", b.FUNDING))
    before = {duty.channel for duty in story.wants(b.awaiting_signing()).values()}
    assert Channel.KEYMELD in before
    assert Channel.KEYMELD not in {duty.channel for duty in story.wants(make()).values()}


@pytest.mark.parametrize("make", [b.funding_broadcasted, *AFTER], ids=lambda make: make.__name__)
def test_once_the_funding_left_no_error_ends_a_competition(make: Callable[[], s.Competition]) -> None:
    story = Story(world=dict(LONG_AFTER)).put(*b.seats(), b.pinned(), b.contract_signed(), *TROUBLE)
    story.put(b.built("funding", b.FUNDING))
    if make is not b.funding_broadcasted:
        story.confirm(b.FUNDING)
    state, _ = story.run(make())
    assert not isinstance(state, s.Returning | s.Failed | s.Cancelled)


@pytest.mark.parametrize(("depth", "to"), [(None, None), (1, None), (2, None), (3, s.FundingConfirmed)])
def test_sent_is_not_confirmed(depth: int | None, to: type[s.Competition] | None) -> None:
    """That the node took it says nothing: only blocks above it do."""
    story = Story(terms_with(MAINNET)).put(*b.seats(), b.pinned(), b.contract_signed(), b.built("funding", b.FUNDING))
    story.put(f.Sent(role="funding", txid=b.FUNDING))
    if depth is not None:
        story.confirm(b.FUNDING, b.TIP - depth + 1)
    step = story.step(b.funding_broadcasted())
    assert (None if step is None else type(step)) is to
    assert "ln.settle" not in story.kinds(b.funding_broadcasted())


@pytest.mark.parametrize("late", [HoldState.OPEN, HoldState.ACCEPTED])
def test_awaiting_attestation_needs_every_invoice_settled_or_written_off(late: HoldState) -> None:
    story = Story().put(*b.seats(b.ROSTER[:1], HoldState.SETTLED), *b.seats(b.ROSTER[1:2], HoldState.CANCELED))
    story.put(*b.seats(b.ROSTER[2:], late)).confirm(b.FUNDING)
    assert story.step(b.funding_confirmed()) is None
    settles = {key for key in story.wants(b.funding_confirmed()) if key.startswith("ln.settle/")}
    assert settles == {f"ln.settle/{b.ticket_hash(b.ROSTER[2])}"}
    story.facts = [fact for fact in story.facts if getattr(fact, "entry_id", "") != b.ROSTER[2]]
    assert story.put(*b.seats(b.ROSTER[2:], HoldState.SETTLED)).step(b.funding_confirmed()) == b.awaiting_attestation(
        written_off=(b.ROSTER[1],)
    )


@pytest.mark.parametrize("blocks", [(3,), (1, 2), (2, 1), (1, 1, 1)], ids=str)
def test_several_transactions_of_one_block_end_as_those_of_several(blocks: tuple[int, ...]) -> None:
    """Funding, outcome and split in one block, or in one each: what is seen at once is seen whole."""
    story = Story().put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed(), b.attested())
    story.put(b.built("funding", b.FUNDING), f.Sent(role="outcome", txid=b.OUTCOME))
    seen = [(b.COIN, b.FUNDING), (f"{b.FUNDING}:0", b.OUTCOME), (f"{b.OUTCOME}:0", b.SPLIT)]
    state: s.Competition = b.funding_broadcasted()
    for count in blocks:
        for outpoint, txid in seen[:count]:
            story.spend(outpoint, txid)
        seen = seen[count:]
        state, _ = story.run(state)
    assert state == b.delta_broadcasted(0)
