"""What is true before anything came, and of what this release does not know."""

from __future__ import annotations

from typing import get_args

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


def test_terms_are_published_once(story: Story) -> None:
    assert {duty.kind() for duty in wanted(s.Created(), story.lane)} == {"oracle.publish_terms"}
    assert wanted(s.Created(), story.put(f.Published(terms="{}", terms_hash="h")).lane) == ()


def test_every_kind_of_duty_has_its_urgency_and_an_unknown_one_the_usual() -> None:
    assert {urgency_of(kind.kind()) for kind in get_args(AnyDuty)} == set(Urgency)
    assert urgency_of("of.a.later.release") is Urgency.ROUTINE
