"""How well the chain is followed is derived from what was heard and when, at the moment of the question."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coordinator.domain.gates import GRACE
from coordinator.engine.chain.lookout import (
    NO_BLOCK,
    REFUSALS,
    SILENT_SECONDS,
    STALLED,
    STALLED_SECONDS,
    ChainReport,
    Lookout,
)
from coordinator.engine.components import ChainState
from coordinator_core.units import Height, UnixTime

NOW = UnixTime(1_700_000_000)


@dataclass
class Watched:
    """A lookout on a public network, with clocks that stand until they are moved."""

    seconds: float = 50.0
    wall: int = NOW
    development: bool = False

    def __post_init__(self) -> None:
        self.lookout = Lookout(lambda: self.seconds, lambda: UnixTime(self.wall), self.development)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += int(seconds)

    def heard(self, height: int) -> None:
        self.lookout.heard(Height(height), UnixTime(self.wall))

    def stored(self, height: int) -> None:
        self.lookout.stored(Height(height), moved=True)

    @property
    def state(self) -> ChainState:
        return self.lookout.report().state


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.lookout.lightning(True)
    return made


def test_before_the_first_answer_it_connects(watched: Watched) -> None:
    assert watched.lookout.report() == ChainReport(
        state=ChainState.CONNECTING, behind=None, since_seconds=None, held="the Bitcoin node does not answer"
    )
    watched.stored(100)
    assert watched.state is ChainState.CONNECTING


def test_from_connecting_over_catching_up_to_synced(watched: Watched) -> None:
    watched.lookout.stored(Height(100))
    watched.heard(140)
    report = watched.lookout.report()
    assert (report.state, report.behind) == (ChainState.CATCHING_UP, 40)
    assert report.held == "40 blocks of the Bitcoin node are not processed yet"
    watched.stored(139)
    assert (watched.state, watched.lookout.behind) == (ChainState.CATCHING_UP, 1)
    watched.stored(140)
    watched.pass_by(3)
    report = watched.lookout.report()
    assert (report.state, report.behind, report.since_seconds, report.held) == (ChainState.SYNCED, 0, 3.0, None)


def test_a_silence_is_connecting_again_whatever_it_was(watched: Watched) -> None:
    watched.stored(100)
    watched.heard(100)
    watched.pass_by(9)
    watched.lookout.silent()
    report = watched.lookout.report()
    assert (report.state, report.behind, report.since_seconds) == (ChainState.CONNECTING, None, 9.0)
    watched.heard(100)
    assert watched.state is ChainState.SYNCED


def test_blocks_that_are_there_and_not_stored_are_stale_after_two_minutes(watched: Watched) -> None:
    watched.heard(100)
    watched.stored(100)
    watched.heard(105)
    watched.pass_by(STALLED_SECONDS)
    watched.heard(105)
    assert watched.state is ChainState.CATCHING_UP
    watched.pass_by(1)
    watched.heard(105)
    report = watched.lookout.report()
    assert (report.state, report.behind, report.since_seconds, report.reason) == (ChainState.STALE, 5, 121.0, STALLED)
    watched.stored(103)
    assert watched.state is ChainState.CATCHING_UP


def test_a_block_after_a_long_gap_has_its_two_minutes(watched: Watched) -> None:
    """Nothing stalled while there was nothing to store."""
    watched.heard(100)
    watched.stored(100)
    watched.pass_by(600)
    watched.heard(100)
    watched.heard(101)
    watched.pass_by(3)
    report = watched.lookout.report()
    assert (report.state, report.behind, report.since_seconds) == (ChainState.CATCHING_UP, 1, 3.0)
    watched.pass_by(STALLED_SECONDS)
    assert watched.state is ChainState.STALE


def test_no_block_for_ninety_minutes_is_stale_on_a_public_network(watched: Watched) -> None:
    watched.heard(100)
    watched.stored(100)
    found = UnixTime(watched.wall)
    watched.pass_by(SILENT_SECONDS + 1)
    watched.lookout.heard(Height(100), found)
    report = watched.lookout.report()
    assert (report.state, report.behind, report.reason) == (ChainState.STALE, 0, NO_BLOCK)
    assert report.since_seconds == SILENT_SECONDS + 1
    watched.heard(101)
    watched.stored(101)
    assert watched.state is ChainState.SYNCED


def test_where_blocks_are_made_at_will_none_is_missed() -> None:
    watched = Watched(development=True)
    watched.lookout.heard(Height(100), UnixTime(0))
    watched.stored(100)
    assert watched.state is ChainState.SYNCED


def test_the_fifth_contradiction_in_a_row_fails_and_a_stored_block_ends_it(watched: Watched) -> None:
    watched.stored(100)
    for _ in range(2):
        for count in range(1, REFUSALS + 1):
            watched.heard(102)
            watched.lookout.refused("another block")
            assert (watched.state is ChainState.FAILED) is (count >= REFUSALS)
        report = watched.lookout.report()
        assert (report.reason, report.behind) == ("another block", 2)
        watched.lookout.stored(Height(100))
        assert watched.state is ChainState.FAILED, "standing still proves nothing"
        watched.stored(101)
        assert watched.state is ChainState.CATCHING_UP
        watched.stored(100)


def test_a_node_that_cannot_be_used_fails_until_it_can(watched: Watched) -> None:
    watched.stored(100)
    watched.heard(100)
    watched.lookout.unsuitable("the node refused the RPC credentials")
    report = watched.lookout.report()
    assert (report.state, report.behind) == (ChainState.FAILED, None)
    assert "credentials" in report.reason
    watched.lookout.silent()
    assert watched.state is ChainState.FAILED
    watched.heard(100)
    assert watched.state is ChainState.SYNCED


def test_a_reorg_to_a_lower_height_is_not_behind_what_left(watched: Watched) -> None:
    watched.stored(100)
    watched.heard(105)
    watched.heard(102)
    assert watched.lookout.behind == 2
    watched.stored(102)
    assert watched.state is ChainState.SYNCED


def test_blocks_become_late_while_nobody_asks_the_node(watched: Watched) -> None:
    watched.stored(100)
    watched.heard(100)
    watched.heard(102)
    watched.pass_by(30)
    watched.heard(104)
    watched.pass_by(GRACE - 30)
    assert watched.lookout.sight().late == 2
    watched.pass_by(30)
    sight = watched.lookout.sight()
    assert (sight.lag, sight.late) == (4, 4)


def test_what_the_node_still_fetches_counts(watched: Watched) -> None:
    """Its headers reach further than its blocks: it is not in step with the network, and neither are we."""
    watched.stored(100)
    watched.heard(130)
    assert watched.lookout.report().held is not None
