"""The table of transitions: as documented, with a way out of every state, and every pair of state and fact decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.facts import Fact, HoldState, PrizeState
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.samples import sample
from tests.support.transitions import Transition, all_states, registry, tag

DOCUMENT = Path(__file__).parents[3] / "docs" / "states.md"
ROW = re.compile(r"^\| `(\w+)` → `(\w+)` \| (\w+) \| ([a-z, ]+) \|$", re.MULTILINE)
KINDS = {"success", "deadline", "operator", "fault", "chain"}
ENDED = {tag(state) for state in get_args(s.Ended)}
BEFORE_FUNDING = {tag(state) for state in (*get_args(s.Opening), *get_args(s.Closing))}


def documented() -> dict[Transition, set[str]]:
    """What docs/states.md says of each transition."""
    rows = ROW.findall(DOCUMENT.read_text())
    assert len({row[:3] for row in rows}) == len(rows)
    return {Transition(before, method, after): set(kinds.split(", ")) for before, after, method, kinds in rows}


def test_the_documented_transitions_are_those_of_the_code() -> None:
    told = documented()
    assert told.keys() == registry()
    assert set[str]().union(*told.values()) == KINDS


@pytest.mark.parametrize("state", [tag(state) for state in all_states() if tag(state) not in ENDED])
def test_every_waiting_state_has_a_success_and_a_deadline_and_an_operator_edge(state: str) -> None:
    """From the funding on an operator ends nothing: retry and resume let the same transitions happen."""
    kinds = set[str]().union(*(told for one, told in documented().items() if one.before == state))
    assert {"success", "deadline"} <= kinds
    assert ("operator" in kinds) is (state in BEFORE_FUNDING)


def test_every_state_leads_to_an_end_and_nothing_leaves_one() -> None:
    joined = {(one.before, one.after) for one in registry()}
    leads = set(ENDED)
    while more := {before for before, after in joined if after in leads} - leads:
        leads |= more
    assert leads == {tag(state) for state in all_states()}
    assert not ENDED & {before for before, _ in joined}


def test_every_state_can_be_reached() -> None:
    joined = {(one.before, one.after) for one in registry()}
    reached = {"created"}
    while more := {after for before, after in joined if before in reached} - reached:
        reached |= more
    assert reached == {tag(state) for state in all_states()}


# Every pair of a state and a kind of fact: what is not listed here moves nothing.

LISTED: Mapping[tuple[str, str], str] = {
    ("created", "published"): "collecting_entries",
    ("created", "cancel_asked"): "returning",
    ("collecting_entries", "cancel_asked"): "returning",
    ("awaiting_escrow", "holds_read"): "escrow_confirmed",
    ("escrow_confirmed", "planning_checked"): "event_created",
    ("event_created", "oracle_event"): "awaiting_keygen",
    ("awaiting_keygen", "keygen"): "entries_submitted",
    ("awaiting_keygen", "attempt_fault"): "event_created",
    ("entries_submitted", "pinned"): "awaiting_signing",
    ("entries_submitted", "attempt_fault"): "event_created",
    ("awaiting_signing", "contract_signed"): "funding_ready",
    ("awaiting_signing", "attempt_fault"): "event_created",
    ("funding_ready", "holds_read"): "funding_broadcasted",
    ("funding_broadcasted", "invoice"): "returning",
    ("funding_confirmed", "invoice"): "awaiting_attestation",
    ("awaiting_attestation", "attested"): "outcome_broadcasted",
    ("outcome_broadcasted", "sent"): "delta_broadcasted",
    ("expiry_broadcasted", "sent"): "delta_broadcasted",
    ("delta_broadcasted", "payout"): "completed",
    ("returning", "invoice"): "cancelled",
}
ALONE = ("entry-1",)
TWO = b.ROSTER[1:]
PUBLISHED = f.Published(terms="{}", terms_hash="h")
SPENT = {
    f"{b.FUNDING}:0": b.SpendSeen(b.OUTCOME, b.Height(b.TIP)),
    f"{b.OUTCOME}:0": b.SpendSeen(b.SPLIT, b.Height(b.TIP)),
    **{f"{b.SPLIT}:{vout}": b.SpendSeen(b.STRANGER, b.Height(b.TIP)) for vout in (0, 1)},
}
FUNDED: dict[str, Any] = {"confirmed": {b.FUNDING: b.TIP}}
ALL_SPENT: dict[str, Any] = {
    "confirmed": {b.FUNDING: b.TIP, b.OUTCOME: b.TIP, b.SPLIT: b.TIP},
    "spent": {o: seen for o, seen in SPENT.items() if o != f"{b.SPLIT}:1"},
}
PAID = [
    b.payout("entry-2", PrizeState.PAYING),
    f.NeedsOperator(topic="dust/sweep:sellback:entry-2", reason="", resume=""),
]
PINNED = [b.pinned(), b.contract_signed()]
WAITING: Mapping[str, tuple[Callable[[], s.Competition], list[Fact], dict[str, Any]]] = {
    "created": (s.Created, [], {}),
    "collecting_entries": (lambda: s.CollectingEntries(terms_hash="h"), b.seats(), {}),
    "awaiting_escrow": (b.awaiting_escrow, b.seats(), {}),
    "escrow_confirmed": (lambda: s.EscrowConfirmed(roster=b.ROSTER), b.seats(), {}),
    "event_created": (b.event_created, b.seats(), {}),
    "awaiting_keygen": (b.awaiting_keygen, [*b.seats(), b.session()], {}),
    "entries_submitted": (b.entries_submitted, b.seats(), {}),
    "awaiting_signing": (b.awaiting_signing, [*b.seats(), b.batches()], {}),
    "funding_ready": (b.funding_ready, b.seats(), {}),
    "funding_broadcasted": (b.funding_broadcasted, b.seats(), {}),
    "funding_confirmed": (b.funding_confirmed, [*b.seats(ALONE), *b.seats(TWO, HoldState.SETTLED)], FUNDED),
    "awaiting_attestation": (b.awaiting_attestation, [*b.seats(state=HoldState.SETTLED), b.pinned()], FUNDED),
    "outcome_broadcasted": (b.outcome_broadcasted, [*PINNED, f.Sent(role="outcome", txid=b.OUTCOME)], FUNDED),
    "expiry_broadcasted": (b.expiry_broadcasted, [*PINNED, f.Sent(role="expiry", txid=b.EXPIRED)], FUNDED),
    "delta_broadcasted": (b.delta_broadcasted, [*PINNED, *PAID], ALL_SPENT),
    "returning": (lambda: s.Returning(reason="r", ends_in="cancelled"), b.seats(ALONE), {}),
    "completed": (lambda: s.Completed(funding_txid=b.FUNDING, outcome=0), b.seats(), {}),
    "cancelled": (lambda: s.Cancelled(reason="r"), b.seats(), {}),
    "failed": (lambda: s.Failed(reason="r"), b.seats(), {}),
}
TOLD: Mapping[str, Fact] = {
    "published": PUBLISHED,
    "drafted": f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE)),
    "ticket": b.ticket("entry-1"),
    "entry": b.entry("entry-1"),
    "invoice": b.invoice("entry-1", HoldState.CANCELED),
    "oracle_event": b.oracle_event(),
    "session_open": b.session(),
    "seal": b.seal("entry-1"),
    "registered": b.registered("entry-1"),
    "keygen": b.keygen(),
    "entries_posted": b.posted(),
    "pinned": b.pinned(),
    "batches_open": b.batches(),
    "spare_open": b.spare(0, "batch-1-0", b.WALL + 5),
    "batch_hung": f.BatchHung(attempt=1, session_id="batch-1-0", reason="r"),
    "ready": b.ready("entry-1", ("batch-1-0", "batch-1-1")),
    "approval": b.approval("entry-1", "batch-1-0"),
    "batch_signed": b.batch_signed(0),
    "contract_signed": b.contract_signed(),
    "attempt_fault": f.AttemptFault(attempt=1, reason="r"),
    "coins_released": f.CoinsReleased(attempt=1),
    "built": b.built("funding", b.FUNDING),
    "attested": b.attested(),
    "sent": f.Sent(role="split", txid=b.SPLIT),
    "payout": b.payout("entry-2", PrizeState.PAID),
    "owed": b.owed("entry-1"),
}


def told(state: str, kind: type[Fact]) -> Fact:
    """A fact of a kind as it would concern a competition in a state."""
    name = kind.kind()
    if name == "holds_read":
        return b.holds_read(0 if state == "awaiting_escrow" else 1)
    if name == "cancel_asked":
        return f.CancelAsked(by="operator", reason="r")
    return TOLD.get(name) or sample(kind)


@pytest.mark.parametrize("state", WAITING)
def test_every_fact_moves_a_state_as_listed_or_not_at_all(state: str) -> None:
    make, facts, world = WAITING[state]
    story = b.Story(facts=list(facts), world=dict(world), published=state != "created")
    assert advance(make(), story.lane) is None
    moved: dict[tuple[str, str], str] = {}
    for kind in get_args(f.AnyFact):
        step = advance(make(), story.copy().put(told(state, kind)).lane)
        if step is not None:
            moved[state, kind.kind()] = tag(type(step.state))
    assert moved == {pair: after for pair, after in LISTED.items() if pair[0] == state}


def test_every_state_and_every_kind_of_fact_has_its_cells() -> None:
    assert set(WAITING) == {tag(state) for state in all_states()}
    kinds = {kind.kind() for kind in get_args(f.AnyFact)}
    assert {kind for _, kind in LISTED} <= kinds
    assert TOLD.keys() <= kinds
    assert {(before, after) for (before, _), after in LISTED.items()} <= {(t.before, t.after) for t in registry()}


@pytest.mark.parametrize("state", sorted(BEFORE_FUNDING))
def test_two_owners_end_every_state_before_the_funding(state: str) -> None:
    make, facts, world = WAITING[state]
    words = [f.CancelAsked(by=who, reason="storm", is_owner=True) for who in ("alice", "bob")]
    story = b.Story(facts=[*facts, *words], world={**world, "now": b.CLOSE}, published=state != "created")
    left = story.step(make())
    if state in ("created", "collecting_entries"):
        story.set(now=b.CLOSE - 1)
    left = left or story.step(make())
    assert isinstance(left, s.Returning)
    assert left.ends_in == "cancelled"
