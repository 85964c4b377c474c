"""When a competition is looked at again, and by when it should have left its state: by which clock, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.budgets import NEAR, UNCONFIRMED, budget
from coordinator.domain.competitions.watching import Deadline, deadline
from coordinator.domain.facts import Fact
from coordinator_core.competition.schedule import latest_funding
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

MAINNET = b.terms_with(b.MAINNET)
CHILD = f.Bumped(
    attempt=1,
    role="funding",
    number=1,
    bump=f.BumpKind.CHILD,
    txid="9" * 64,
    fee=b.Sats(500),
    spends=b.COIN,
    coins=(f"{'8' * 64}:1",),
)
WON = [b.pinned(), b.contract_signed(), b.attested(), f.Sent(role="outcome", txid=b.OUTCOME)]
FUNDED = {"confirmed": {b.FUNDING: Height(b.TIP - 9)}}
OUTCOME = {"confirmed": {b.FUNDING: Height(b.TIP - 9), b.OUTCOME: Height(b.TIP - 1)}}
SPLIT = {"confirmed": {**OUTCOME["confirmed"], b.SPLIT: Height(b.TIP)}}


class TestDeadline:
    def test_a_block_costs_nobody_anything_who_waits_for_the_result(self) -> None:
        story = Story(facts=[b.pinned()], world=dict(FUNDED))
        found = deadline(b.awaiting_attestation(), story.lane)
        assert (found.height, found.wall, found.median) == (None, None, b.EXPIRY + 1)

    @pytest.mark.parametrize(
        ("name", "facts", "prepare"),
        [
            ("a reorg took the funding", [b.pinned()], lambda story: story.set(confirmed={})),
            ("a conflicting spend grows", [b.pinned()], lambda story: story.spend(b.COIN, b.STRANGER)),
            ("coins of a bump wait", [b.pinned(), CHILD], lambda story: story.spend(b.COIN, b.FUNDING)),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_but_each_block_counts_while_something_grows_deeper(
        self, name: str, facts: list[Fact], prepare: Callable[[Story], Story]
    ) -> None:
        story = prepare(Story(MAINNET, facts=list(facts), world=dict(FUNDED)))
        assert deadline(b.awaiting_attestation(), story.lane).height == b.TIP + 1

    def test_its_own_funding_is_no_conflict(self) -> None:
        story = Story(MAINNET, facts=[b.pinned()], world=dict(FUNDED)).spend(b.COIN, b.FUNDING)
        assert deadline(b.awaiting_attestation(), story.lane).height is None

    @pytest.mark.parametrize(
        "make", [lambda: s.Returning(reason="r", ends_in="failed"), lambda: s.Cancelled(reason="r")]
    )
    def test_coins_of_a_bump_are_waited_for_whatever_became_of_the_competition(
        self, make: Callable[[], s.Competition]
    ) -> None:
        story = Story(MAINNET, facts=[CHILD])
        assert deadline(make(), story.lane) == Deadline()
        assert deadline(make(), story.spend(b.COIN, b.FUNDING).lane) == Deadline(height=Height(b.TIP + 1))
        story.put(f.FeeCoinsReleased(attempt=1, role="funding"))
        assert deadline(make(), story.lane) == Deadline()

    def test_the_expiry_that_has_passed_is_no_timer(self) -> None:
        story = Story(facts=[b.pinned()], world={**FUNDED, "median_time_past": UnixTime(b.EXPIRY + 1)})
        assert deadline(b.awaiting_attestation(), story.lane).median is None

    def test_the_last_moment_for_the_funding_is_one_until_it_left(self) -> None:
        story = Story(facts=b.seats(), world={"now": UnixTime(b.END_OF_CLOSING)})
        last = latest_funding(story.terms)
        assert deadline(b.funding_ready(), story.lane).domain == last + 1
        assert deadline(b.funding_broadcasted(), story.lane).domain == last + 1
        story.put(b.built("funding", b.FUNDING, at=last - 100_000))
        assert deadline(b.funding_broadcasted(), story.lane).domain == last + 1
        story.put(f.Sent(role="funding", txid=b.FUNDING))
        assert deadline(b.funding_broadcasted(), story.lane).domain != last + 1

    def test_who_missed_a_window_is_written_down_when_it_ends_although_the_closing_ended_before(self) -> None:
        story = Story(facts=[*b.seats(), b.session()])
        state = s.Cancelled(reason="r")
        assert deadline(state, story.lane).wall == b.WALL + b.SEALING
        assert not any(kind.startswith("attendance") for kind in story.kinds(state))
        story.set(wall=UnixTime(b.WALL + b.SEALING))
        assert deadline(state, story.lane).wall is None
        assert "attendance.record" in story.kinds(state)

    @pytest.mark.parametrize(
        "reason",
        [
            [f.AttemptFault(attempt=1, reason="epoch")],
            [f.CancelAsked(by=owner, reason="r", is_owner=True) for owner in ("a", "b")],
        ],
        ids=["keymeld failed", "owners agreed"],
    )
    def test_nobody_missed_what_was_cut_short(self, reason: list[Fact]) -> None:
        story = Story(facts=[*b.seats(), b.session(), *reason])
        assert deadline(s.Cancelled(reason="r"), story.lane).wall is None


@dataclass(frozen=True)
class Row:
    name: str
    state: Callable[[], s.Competition]
    budget: Deadline
    facts: list[Fact] = field(default_factory=list[Fact])
    world: dict[str, Any] = field(default_factory=dict[str, Any])


def within(seconds: int) -> Deadline:
    return Deadline(wall=UnixTime(b.WALL + seconds))


def height(at: int) -> Deadline:
    return Deadline(height=Height(at))


STEP = b.CLOSING["entries"]
ROWS = [
    Row("terms", s.Created, within(900)),
    Row("selling", lambda: s.CollectingEntries(terms_hash="h"), Deadline(domain=UnixTime(b.CLOSE + 60))),
    Row("first holds", b.awaiting_escrow, within(STEP)),
    Row("planning", lambda: s.EscrowConfirmed(roster=b.ROSTER), within(STEP)),
    Row("event", b.event_created, within(STEP)),
    Row("no session", b.awaiting_keygen, within(STEP)),
    Row("sealing", b.awaiting_keygen, within(2 * b.SEALING + 60), [b.session()]),
    Row("entries", b.entries_submitted, within(STEP + b.CLOSING["kickoff_grace"])),
    Row("no batches", b.awaiting_signing, within(STEP)),
    Row("signing", b.awaiting_signing, within(2 * b.APPROVALS + 60), [b.batches()]),
    Row("holds", b.funding_ready, within(STEP)),
    Row("funding", b.funding_broadcasted, height(b.DEADLINE + 36)),
    Row("settling", lambda: b.funding_confirmed(b.TIP - 3), height(b.TIP - 3 + 1 + NEAR)),
    Row("result", b.awaiting_attestation, Deadline(median=UnixTime(b.EXPIRY + 900))),
    Row("outcome", b.outcome_broadcasted, within(UNCONFIRMED), WON, FUNDED),
    Row("expiry", b.expiry_broadcasted, within(UNCONFIRMED)),
    Row("delta", b.outcome_broadcasted, height(b.TIP - 1 + b.DELTA + 36), WON, OUTCOME),
    Row("no split", b.delta_broadcasted, within(UNCONFIRMED), WON, OUTCOME),
    Row("outputs", b.delta_broadcasted, height(b.TIP + 2 * b.DELTA + 36), WON, SPLIT),
    Row("give back", lambda: s.Returning(reason="r", ends_in="failed"), within(900)),
    Row("canceled", lambda: s.Cancelled(reason="r"), Deadline()),
    Row("failed", lambda: s.Failed(reason="r"), Deadline()),
    Row("done", lambda: s.Completed(funding_txid=b.FUNDING, outcome=None), Deadline()),
]


class TestBudget:
    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
    def test_by_the_schedule_of_the_terms(self, row: Row) -> None:
        lane = Story(facts=list(row.facts), world=dict(row.world)).lane
        assert budget(row.state(), lane, UnixTime(b.WALL)) == row.budget

    def test_every_state_has_one(self) -> None:
        assert {type(row.state()) for row in ROWS} == set(s.Competition.__args__)

    def test_no_window_of_a_demo_is_too_short_to_be_kept(self) -> None:
        terms = b.terms_with({f"schedule.closing.{name}": 20 for name in ("sealing", "entries", "approvals")})
        assert budget(b.event_created(), Story(terms).lane, UnixTime(b.WALL)) == within(60)
        sealing = Story(terms, facts=[b.session()])
        assert budget(b.awaiting_keygen(), sealing.lane, UnixTime(b.WALL)) == within(20 + 20 + 60)
