"""By when a competition should have left its state: every state, before and after what its budget hangs on."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.budgets import budget
from coordinator.domain.competitions.watching import Deadline
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story
from tests.support.transitions import all_states

ENTERED = UnixTime(b.WALL - 100)
ENTRIES = b.CLOSING["entries"]
DAY = 86_400


def wall(seconds: int, start: int = ENTERED) -> Deadline:
    return Deadline(wall=UnixTime(start + seconds))


def height(blocks: int) -> Deadline:
    return Deadline(height=Height(blocks))


CASES: list[tuple[Any, Deadline]] = [
    (s.Created(), wall(900)),
    (s.CollectingEntries(terms_hash="h"), Deadline(domain=UnixTime(b.CLOSE + 60))),
    (b.awaiting_escrow(), wall(ENTRIES)),
    (s.EscrowConfirmed(roster=b.ROSTER), wall(ENTRIES)),
    (b.event_created(), wall(ENTRIES)),
    (b.awaiting_keygen(), wall(ENTRIES)),
    (b.entries_submitted(), wall(ENTRIES + b.CLOSING["kickoff_grace"])),
    (b.awaiting_signing(), wall(ENTRIES)),
    (b.funding_ready(), wall(ENTRIES)),
    (b.funding_broadcasted(), height(b.DEADLINE + 36)),
    (b.funding_confirmed(), height(b.TIP + 1 + 6)),
    (b.awaiting_attestation(), Deadline(median=UnixTime(b.EXPIRY + 900))),
    (b.outcome_broadcasted(), wall(DAY)),
    (b.expiry_broadcasted(), wall(DAY)),
    (b.delta_broadcasted(), wall(DAY)),
    (s.Returning(reason="r", ends_in="failed"), wall(900)),
    (s.Completed(funding_txid=b.FUNDING, outcome=0), Deadline()),
    (s.Cancelled(reason="r"), Deadline()),
    (s.Failed(reason="r"), Deadline()),
]


@pytest.mark.parametrize(("state", "expected"), CASES, ids=[type(state).__name__ for state, _ in CASES])
def test_of_every_state(story: Story, state: s.Competition, expected: Deadline) -> None:
    assert budget(state, story.lane, ENTERED) == expected


def test_every_state_is_in_the_table() -> None:
    assert {type(state) for state, _ in CASES} == set(all_states()) == set(get_args(s.Competition))


def test_a_coin_that_is_taken_back_has_the_time_of_the_chain(story: Story) -> None:
    story.put(b.posted(), b.pinned(), b.built("funding", b.FUNDING))
    returning = s.Returning(reason="r", ends_in="failed")
    assert budget(returning, story.lane, ENTERED) == wall(DAY)
    assert budget(returning, story.spend(b.COIN, b.STRANGER).lane, ENTERED) == wall(900)


def test_a_window_that_is_open_counts_with_the_grace_after_it(story: Story) -> None:
    story.put(b.session(), b.batches())
    assert budget(b.awaiting_keygen(), story.lane, ENTERED) == wall(2 * b.SEALING + 60, b.WALL)
    assert budget(b.awaiting_signing(), story.lane, ENTERED) == wall(2 * b.APPROVALS + 60, b.WALL)


@pytest.mark.parametrize(("written_off", "deltas"), [((), 1), (b.ROSTER, 2)])
def test_on_chain_it_follows_the_height_at_which_we_may_spend(
    story: Story, written_off: tuple[str, ...], deltas: int
) -> None:
    """Only reclaim is left where every winner's ticket was written off: that takes two deltas."""
    story.put(b.pinned(), b.contract_signed()).spend(f"{b.FUNDING}:0", b.OUTCOME).confirm(b.SPLIT)
    state = b.outcome_broadcasted(written_off=written_off)
    assert budget(state, story.lane, ENTERED) == height(b.TIP + deltas * b.DELTA + 36)
    assert budget(b.delta_broadcasted(), story.lane, ENTERED) == height(b.TIP + 2 * b.DELTA + 36)


def test_time_in_which_a_service_was_down_does_not_count(story: Story) -> None:
    story.put(f.Outage(service="oracle", since=ENTERED, until=UnixTime(ENTERED + 50)))
    assert budget(b.event_created(), story.lane, ENTERED) == wall(ENTRIES + 50)
