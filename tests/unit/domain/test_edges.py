"""Every edge of every state: success, deadline, operator, and what must not move it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.facts import Fact, HoldState, PrizeState
from coordinator.domain.lane import SpendSeen
from coordinator.domain.typestate import State
from coordinator_core.units import UnixTime
from tests.support import lanes as b

CANCEL = f.CancelAsked(by="operator", reason="the operator canceled")
CLOSED = {"now": b.END_OF_CLOSING}
SEALING_OVER = {"wall": b.WALL + b.SEALING}
APPROVALS_OVER = {"wall": b.WALL + b.APPROVALS}
TERMS = f.Published(terms="{}", terms_hash="h")
DRAFT = f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE))
SPENT_BY_STRANGER = {b.COIN: SpendSeen(b.STRANGER, b.Height(b.TIP))}
LOST = b.invoice("entry-1", HoldState.CANCELED)
SHORT = b.invoice("entry-1", expiry_height=b.TIP + 18 + 30)
HELD = b.seats()
SETTLED = b.seats(state=HoldState.SETTLED)


def all_of(make: Callable[..., Fact], players: tuple[str, ...] = b.ROSTER) -> list[Fact]:
    return [make(e) for e in players]


@dataclass(frozen=True)
class Edge:
    name: str
    state: Callable[[], s.Competition]
    to: type[State] | None
    facts: list[Fact] = field(default_factory=list[Fact])
    world: dict[str, Any] = field(default_factory=dict[str, Any])
    reason: str = ""


EDGES = [
    Edge("terms published", s.Created, s.CollectingEntries, [DRAFT, TERMS], reason="terms published"),
    Edge("draft waits", s.Created, None, [DRAFT], {"now": b.CLOSE - 1}),
    Edge("draft too late", s.Created, s.Returning, [DRAFT], {"now": b.CLOSE}, "not final at the closing time"),
    Edge("draft canceled", s.Created, s.Returning, [DRAFT, CANCEL], reason="operator"),
    Edge("cancel wins over publishing", s.Created, s.Returning, [DRAFT, TERMS, CANCEL], reason="operator"),
    Edge("open", lambda: s.CollectingEntries(terms_hash="h"), None, HELD, {"now": b.CLOSE - 1}),
    Edge("full does not close", lambda: s.CollectingEntries(terms_hash="h"), None, b.seats(b.PLAYERS)),
    Edge("closes", lambda: s.CollectingEntries(terms_hash="h"), s.AwaitingEscrow, HELD, {"now": b.CLOSE}, "3 players"),
    Edge(
        "too few",
        lambda: s.CollectingEntries(terms_hash="h"),
        s.Returning,
        b.seats(b.PLAYERS[:2]),
        {"now": b.CLOSE},
        "2 of at least 3",
    ),
    Edge("canceled while open", lambda: s.CollectingEntries(terms_hash="h"), s.Returning, [*HELD, CANCEL]),
    Edge("holds not read", b.awaiting_escrow, None, HELD),
    Edge("holds stand", b.awaiting_escrow, s.EscrowConfirmed, [b.holds_read(0)], reason="3 tickets are held"),
    Edge(
        "a hold is lost, enough stay",
        lambda: b.awaiting_escrow(b.PLAYERS[:4]),
        s.EscrowConfirmed,
        [b.holds_read(0, lost=("entry-2",))],
        reason="3 tickets",
    ),
    Edge("too few holds", b.awaiting_escrow, s.Returning, [b.holds_read(0, lost=("entry-2",))], reason="2 players"),
    Edge("holds unread to the end", b.awaiting_escrow, s.Returning, [], CLOSED, "the closing ended"),
    Edge(
        "holds stand too close to F",
        b.awaiting_escrow,
        s.Returning,
        [b.holds_read(0)],
        {"tip": b.DEADLINE - 5},
        "fewer than 6 blocks",
    ),
    Edge("cancel after close has no effect", b.awaiting_escrow, None, [CANCEL]),
    Edge("planning unknown", lambda: s.EscrowConfirmed(roster=b.ROSTER), None),
    Edge("planning passed", lambda: s.EscrowConfirmed(roster=b.ROSTER), s.EventCreated, [f.PlanningChecked()]),
    Edge("planning never", lambda: s.EscrowConfirmed(roster=b.ROSTER), s.Returning, [], CLOSED, "could not assess"),
    Edge(
        "six blocks are enough to start",
        lambda: s.EscrowConfirmed(roster=b.ROSTER),
        s.EventCreated,
        [f.PlanningChecked()],
        {"tip": b.DEADLINE - 6},
    ),
    Edge(
        "five blocks are not",
        lambda: s.EscrowConfirmed(roster=b.ROSTER),
        s.Returning,
        [f.PlanningChecked()],
        {"tip": b.DEADLINE - 5},
        "fewer than 6 blocks",
    ),
    Edge("event announced", b.event_created, s.AwaitingKeygen, [b.oracle_event()], reason="event event-1"),
    Edge("event of another attempt", lambda: b.event_created(2), None, [b.oracle_event(1)]),
    Edge("event never", b.event_created, s.Returning, [], CLOSED, "did not announce"),
    Edge("no session yet", b.awaiting_keygen, None, [], SEALING_OVER),
    Edge("no session to the end", b.awaiting_keygen, s.Returning, [], CLOSED, "did not open a session"),
    Edge("sealing goes on", b.awaiting_keygen, None, [b.session()], {"wall": b.WALL + b.SEALING - 1}),
    Edge("keys verified", b.awaiting_keygen, s.EntriesSubmitted, [b.session(), b.keygen()], reason="all 3 players"),
    Edge("keys of another attempt", lambda: b.awaiting_keygen(2), None, [b.session(1), b.keygen(1)]),
    Edge(
        "one absent, enough stay",
        lambda: b.awaiting_keygen(roster=b.PLAYERS[:4]),
        s.EventCreated,
        [b.session(), *all_of(b.seal)],
        SEALING_OVER,
        "1 players did not seal",
    ),
    Edge("one absent, too few", b.awaiting_keygen, s.Returning, [b.session(), b.seal("entry-1")], SEALING_OVER),
    Edge(
        "all sealed, keymeld gets the grace",
        b.awaiting_keygen,
        None,
        [b.session(), *all_of(b.seal)],
        {"wall": b.WALL + 2 * b.SEALING - 1},
    ),
    Edge(
        "all sealed, keymeld too slow",
        b.awaiting_keygen,
        s.EventCreated,
        [b.session(), *all_of(b.seal)],
        {"wall": b.WALL + 2 * b.SEALING},
        "keymeld did not finish keygen",
    ),
    Edge(
        "keymeld fails",
        b.awaiting_keygen,
        s.EventCreated,
        [b.session(), f.AttemptFault(attempt=1, reason="epoch changed")],
        reason="epoch changed",
    ),
    Edge(
        "keymeld fails in the last attempt",
        lambda: b.awaiting_keygen(8),
        s.Returning,
        [f.AttemptFault(attempt=8, reason="epoch changed")],
        reason="8 attempts are used up",
    ),
    Edge("fault of an earlier attempt", lambda: b.awaiting_keygen(2), None, [f.AttemptFault(attempt=1, reason="x")]),
    Edge("entries not posted", b.entries_submitted, None),
    Edge("posted is not pinned", b.entries_submitted, None, [b.posted()]),
    Edge("pinned", b.entries_submitted, s.AwaitingSigning, [b.posted(), b.pinned()], reason=b.FUNDING),
    Edge("pin of another attempt", lambda: b.entries_submitted(2), None, [b.pinned(1)]),
    Edge("kick-off held to the end", b.entries_submitted, s.Returning, [b.posted()], CLOSED, "kick-off"),
    Edge("kick-off held past F", b.entries_submitted, s.Returning, [b.posted()], {"tip": b.DEADLINE + 1}),
    Edge("fault while pinning", b.entries_submitted, s.EventCreated, [f.AttemptFault(attempt=1, reason="x")]),
    Edge("batches not open", b.awaiting_signing, None, [], APPROVALS_OVER),
    Edge("batches never", b.awaiting_signing, s.Returning, [], CLOSED, "did not open the batches"),
    Edge("signed", b.awaiting_signing, s.FundingReady, [b.batches(), b.contract_signed()], reason="is signed"),
    Edge("signatures of another attempt", lambda: b.awaiting_signing(2), None, [b.contract_signed(1)]),
    Edge("approvals go on", b.awaiting_signing, None, [b.batches()], {"wall": b.WALL + b.APPROVALS - 1}),
    Edge(
        "one did not approve",
        lambda: b.awaiting_signing(roster=b.PLAYERS[:4]),
        s.EventCreated,
        [b.batches(), *b.approvals()],
        APPROVALS_OVER,
        "1 players did not approve",
    ),
    Edge("too few approved", b.awaiting_signing, s.Returning, [b.batches()], APPROVALS_OVER, "3 players"),
    Edge(
        "one batch of two is not approved",
        b.awaiting_signing,
        s.Returning,
        [b.batches(), *b.approvals(count=1)],
        APPROVALS_OVER,
        "3 players did not approve",
    ),
    Edge(
        "keymeld signs too slowly",
        b.awaiting_signing,
        s.EventCreated,
        [b.batches(), *b.approvals()],
        {"wall": b.WALL + 2 * b.APPROVALS},
        "did not sign in time",
    ),
    Edge("no spare left", b.awaiting_signing, s.EventCreated, [f.AttemptFault(attempt=1, reason="no spare")]),
    Edge("holds not re-read", b.funding_ready, None, HELD),
    Edge("holds re-read", b.funding_ready, s.FundingBroadcasted, [*HELD, b.holds_read(1)], reason="all holds stand"),
    Edge("re-read of the start does not count", b.funding_ready, None, [*HELD, b.holds_read(0)]),
    Edge("re-read is one block old", b.funding_ready, s.FundingBroadcasted, [*HELD, b.holds_read(1, at=b.TIP - 1)]),
    Edge("re-read is two blocks old", b.funding_ready, None, [*HELD, b.holds_read(1, at=b.TIP - 2)]),
    Edge("a hold is lost", b.funding_ready, s.Returning, [*HELD, b.holds_read(1, lost=("entry-1",))], reason="1 holds"),
    Edge("canceled since", b.funding_ready, s.Returning, [*b.seats(), LOST, b.holds_read(1)], reason="1 holds"),
    Edge("too short", b.funding_ready, s.Returning, [*b.seats(), SHORT, b.holds_read(1)], reason="1 holds"),
    Edge("never re-read before F", b.funding_ready, s.Returning, HELD, {"tip": b.DEADLINE + 1}, "deadline passed"),
    Edge(
        "past F although the holds stand",
        b.funding_ready,
        s.Returning,
        [*HELD, b.holds_read(1, at=b.DEADLINE + 1)],
        {"tip": b.DEADLINE + 1},
        "deadline passed",
    ),
    Edge("funding not built", b.funding_broadcasted, None, HELD),
    Edge("past F before it left", b.funding_broadcasted, s.Returning, HELD, {"tip": b.DEADLINE + 1}, "deadline"),
    Edge("hold lost before it left", b.funding_broadcasted, s.Returning, [*b.seats(), LOST], reason="1 holds"),
    Edge(
        "past F after it left",
        b.funding_broadcasted,
        None,
        [*b.seats(), LOST, b.built("funding", b.FUNDING)],
        {"tip": b.DEADLINE + 30},
    ),
    Edge("funding confirmed", b.funding_broadcasted, s.FundingConfirmed, HELD, {"confirmed": {b.FUNDING: b.TIP}}),
    Edge(
        "a spent coin is no pin",
        b.funding_broadcasted,
        None,
        [*HELD, b.built("funding", b.FUNDING)],
        {"spent": SPENT_BY_STRANGER},
    ),
    Edge(
        "conflict confirmed",
        b.funding_broadcasted,
        s.Returning,
        [*HELD, b.pinned(), b.built("funding", b.FUNDING)],
        {"spent": SPENT_BY_STRANGER},
        b.STRANGER,
    ),
    Edge(
        "spent by itself is no conflict",
        b.funding_broadcasted,
        s.FundingConfirmed,
        [*HELD, b.pinned()],
        {"spent": {b.COIN: SpendSeen(b.FUNDING, b.Height(b.TIP))}, "confirmed": {b.FUNDING: b.TIP}},
    ),
    Edge("tickets not settled", b.funding_confirmed, None, HELD, {"confirmed": {b.FUNDING: b.TIP}}),
    Edge("settled", b.funding_confirmed, s.AwaitingAttestation, SETTLED, {"confirmed": {b.FUNDING: b.TIP}}),
    Edge(
        "one written off",
        b.funding_confirmed,
        s.AwaitingAttestation,
        [*b.seats(b.ROSTER[1:], HoldState.SETTLED), *b.seats(b.ROSTER[:1], HoldState.CANCELED)],
        {"confirmed": {b.FUNDING: b.TIP}},
        "1 tickets are written off",
    ),
    Edge("funding left the chain", b.funding_confirmed, s.FundingBroadcasted, SETTLED, {}, "reorg"),
    Edge("attestation missing", b.awaiting_attestation, None, [], {"median_time_past": b.EXPIRY}),
    Edge("attested", b.awaiting_attestation, s.OutcomeBroadcasted, [b.attested(2)], reason="outcome 2"),
    Edge("expired", b.awaiting_attestation, s.ExpiryBroadcasted, [], {"median_time_past": b.EXPIRY + 1}, "expired"),
    Edge(
        "attested after the expiry",
        b.awaiting_attestation,
        s.OutcomeBroadcasted,
        [b.attested()],
        {"median_time_past": b.EXPIRY + 1},
    ),
    Edge(
        "funding replaced after a reorg",
        b.awaiting_attestation,
        s.Returning,
        [*SETTLED, b.pinned()],
        {"spent": SPENT_BY_STRANGER},
        "can never confirm again",
    ),
    Edge("held money", lambda: s.Returning(reason="r", ends_in="failed"), None, HELD),
    Edge("open invoice", lambda: s.Returning(reason="r", ends_in="failed"), None, b.seats(state=HoldState.OPEN)),
    Edge("coins reserved", lambda: s.Returning(reason="r", ends_in="failed"), None, [b.posted()]),
    Edge("debts unrecorded", lambda: s.Returning(reason="r", ends_in="failed"), None, SETTLED),
    Edge("one debt unrecorded", lambda: s.Returning(reason="r", ends_in="failed"), None, [*SETTLED, b.owed("entry-1")]),
    Edge(
        "all back: failed",
        lambda: s.Returning(reason="r", ends_in="failed"),
        s.Failed,
        [*SETTLED, *all_of(b.owed)],
        reason="r",
    ),
    Edge(
        "all back: canceled",
        lambda: s.Returning(reason="r", ends_in="cancelled"),
        s.Cancelled,
        [*b.seats(state=HoldState.CANCELED), b.posted(), f.CoinsReleased(attempt=1)],
    ),
    Edge("completed rests", lambda: s.Completed(funding_txid=b.FUNDING, outcome=0), None, [CANCEL, b.attested()]),
    Edge("canceled rests", lambda: s.Cancelled(reason="r"), None, [TERMS]),
    Edge("failed rests", lambda: s.Failed(reason="r"), None, [TERMS]),
]


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_edge(edge: Edge) -> None:
    story = b.Story(published=edge.state is not s.Created, facts=list(edge.facts), world=dict(edge.world))
    step = advance(edge.state(), story.lane)
    if edge.to is None:
        assert step is None
        return
    assert step is not None
    assert type(step.state) is edge.to
    assert edge.reason in step.reason


def test_every_state_has_a_row_and_every_waiting_one_waits_and_leaves() -> None:
    rows: dict[type[State], set[bool]] = {}
    for edge in EDGES:
        rows.setdefault(type(edge.state()), set()).add(edge.to is None)
    settling = {s.OutcomeBroadcasted, s.ExpiryBroadcasted, s.DeltaBroadcasted}
    ended = {s.Completed, s.Cancelled, s.Failed}
    assert set(rows) | settling == set(s.Competition.__args__)
    assert all(seen == ({True} if state in ended else {True, False}) for state, seen in rows.items())


def test_states_keep_what_they_promise() -> None:
    """From keys to funding the roster, attempt, event and contract go along unchanged."""
    story = b.Story().put(*b.seats(), b.session(), b.keygen(), b.posted(), b.pinned(), b.batches())
    story.put(b.contract_signed(), b.holds_read(1)).confirm(b.FUNDING)
    end, _ = story.run(b.awaiting_keygen())
    assert end == b.funding_confirmed()


def test_happy_path_from_the_first_state_to_the_last() -> None:
    story = b.Story().put(DRAFT, TERMS, *b.seats(), b.holds_read(0), f.PlanningChecked(), b.oracle_event())
    story.set(now=b.CLOSE)
    story.put(b.session(), b.keygen(), b.posted(), b.pinned(), b.batches(), b.contract_signed(), b.holds_read(1))
    state, _ = story.run(s.Created())
    assert state == b.funding_broadcasted()
    for e in b.ROSTER:
        story.facts = [fact for fact in story.facts if not isinstance(fact, f.Invoice) or fact.entry_id != e]
        story.put(b.invoice(e, HoldState.SETTLED))
    story.confirm(b.FUNDING).put(b.attested())
    state, _ = story.run(state)
    assert state == b.outcome_broadcasted()
    winners = b.winners(story.terms, 0)
    story.put(*(b.payout(e, PrizeState.PAID) for e in winners), *(f.EntryKeyHeld(entry_id=e) for e in winners))
    story.put(b.built("close", b.STRANGER)).spend(f"{b.FUNDING}:0", b.OUTCOME).spend(f"{b.OUTCOME}:0", b.STRANGER)
    end, _ = story.run(state)
    assert end == s.Completed(funding_txid=b.FUNDING, outcome=0)
