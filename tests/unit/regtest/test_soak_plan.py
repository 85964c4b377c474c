"""The plan of a soak: repeatable from its seed, fair to every daemon, in the order of a competition."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.regtest.soak.plan import LONGEST_AWAY_SECONDS, MOST_PLACES, PHASES, Victim, plan


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 8))
def test_a_plan_follows_from_its_seed(seed: int, rounds: int, kills: int) -> None:
    planned = plan(rounds, seed, kills)
    assert planned == plan(rounds, seed, kills)
    assert [one.number for one in planned] == list(range(1, rounds + 1))
    for one in planned:
        assert 1 <= len(one.kills) <= kills
        assert 1 <= one.places <= MOST_PLACES
        assert all(0 <= kill.away <= LONGEST_AWAY_SECONDS for kill in one.kills)
        assert [kill for phase in PHASES for kill in one.of(phase)] == list(one.kills)


@given(st.integers(0, 2**32))
def test_every_daemon_dies_about_equally_often(seed: int) -> None:
    deaths = Counter(kill.victim for one in plan(20, seed) for kill in one.kills)
    assert set(deaths) == set(Victim)
    assert max(deaths.values()) - min(deaths.values()) <= 1


def test_another_seed_makes_another_plan() -> None:
    assert plan(20, 1) != plan(20, 2)
