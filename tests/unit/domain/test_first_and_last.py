"""What is true before anything came, and of what this release does not know."""

from __future__ import annotations

from typing import get_args

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import closing
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.duties import AnyDuty, Urgency, urgency_of
from tests.support import lanes as b
from tests.support.lanes import Story


def test_no_batch_is_open_before_the_batches_are(story: Story) -> None:
    assert closing.open_batches(story.lane, 1) == ()
    assert closing.open_batches(story.put(b.batches()).lane, 1) == b.batches().batches


@pytest.mark.parametrize(
    ("state", "kind", "fact"),
    [
        (s.Created(), "oracle.publish_terms", f.Published(terms="{}", terms_hash="h")),
        (b.awaiting_escrow(), "ln.read_holds", b.holds_read(0)),
        (s.EscrowConfirmed(roster=b.ROSTER), "oracle.check_planning", f.PlanningChecked()),
        (b.event_created(), "oracle.create_event", b.oracle_event()),
        (b.funding_ready(), "ln.read_holds", b.holds_read(1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_produced_its_fact_is_wanted_no_more(
    story: Story, state: s.Competition, kind: str, fact: f.Fact
) -> None:
    assert {duty.kind() for duty in wanted(state, story.lane)} == {kind}
    assert wanted(state, story.put(fact).lane) == ()


def test_every_kind_of_duty_has_its_urgency_and_an_unknown_one_the_usual() -> None:
    assert {urgency_of(kind.kind()) for kind in get_args(AnyDuty)} == set(Urgency)
    assert urgency_of("of.a.later.release") is Urgency.ROUTINE
