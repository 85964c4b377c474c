"""A failure in each state before the funding gives everything back and leaves nothing behind (G14).

One failure a state; all of them: `./dev chaos --sim --only returns`.
"""

from __future__ import annotations

from typing import get_args

import pytest

from coordinator.domain.competitions.states import Closing, Opening
from tests.harness.sim.returns import FAILURES, Failure, play
from tests.harness.sim.world import simulate

SHORT = (
    "the oracle is away until the closing time",
    "the operator cancels",
    "the oracle cannot assess",
    "the oracle refuses the event",
    "a player never seals",
    "no coins",
    "a player leaves",
    "a hold was lost",
)
BEFORE_FUNDING = frozenset(str(state.__struct_config__.tag) for state in (*get_args(Opening), *get_args(Closing)))


def _chosen() -> list[Failure]:
    """The first failure of that name in each state."""
    found: dict[str, Failure] = {}
    for failure in FAILURES:
        if failure.name in SHORT:
            found.setdefault(failure.state, failure)
    return list(found.values())


def test_every_state_before_the_funding_is_covered() -> None:
    assert len(BEFORE_FUNDING) == 9
    assert {failure.state for failure in FAILURES} == BEFORE_FUNDING
    assert {failure.state for failure in _chosen()} == BEFORE_FUNDING


@pytest.mark.parametrize("failure", _chosen(), ids=lambda failure: f"{failure.state}: {failure.name}")
def test_everything_goes_back(failure: Failure) -> None:
    assert simulate(lambda app: play(app, failure), coins=failure.coins) == ()
