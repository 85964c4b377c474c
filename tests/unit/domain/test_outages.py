"""Time in which a service was down does not count against the windows of the closing."""

from __future__ import annotations

from coordinator.domain.facts import Outage
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story


def outage(since: int, until: int, service: str = "keymeld") -> Outage:
    return Outage(service=service, since=UnixTime(b.WALL + since), until=UnixTime(b.WALL + until))


def test_nobody_is_dropped_while_the_gateway_was_down(story: Story) -> None:
    story.put(b.session(), *(b.seal(e) for e in b.ROSTER[:2]), outage(5, 5 + b.SEALING))
    assert story.set(wall=b.WALL + b.SEALING).step(b.awaiting_keygen()) is None
    assert story.set(wall=b.WALL + 2 * b.SEALING - 1).step(b.awaiting_keygen()) is None
    assert story.set(wall=b.WALL + 2 * b.SEALING).step(b.awaiting_keygen()) is not None


def test_overlapping_outages_count_once(story: Story) -> None:
    story.put(b.session(), outage(0, 10), outage(5, 10, "oracle"), outage(8, 12, "coordinator"))
    assert story.set(wall=b.WALL + b.SEALING + 11).step(b.awaiting_keygen()) is None
    assert story.set(wall=b.WALL + b.SEALING + 12).step(b.awaiting_keygen()) is not None


def test_an_outage_outside_the_window_changes_nothing(story: Story) -> None:
    story.put(b.session(), outage(-100, 0), outage(b.SEALING, b.SEALING + 50))
    assert story.set(wall=b.WALL + b.SEALING).step(b.awaiting_keygen()) is not None
