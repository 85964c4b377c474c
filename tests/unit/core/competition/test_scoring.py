"""Scoring as the oracle's section 5.4."""

from uuid import UUID

import pytest

from coordinator_core.competition.observation import Line, Metric, Observation, Rule, Scoring, ScoringRules
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.scoring import Reading, base_score, leaderboard, outcome_of
from coordinator_core.errors import InvalidInput

FIXED = Scoring(rules=ScoringRules.FIXED, lines=())


def points(rule, tolerance, choice, baseline, observed, scoring=FIXED):
    metric = Metric(id="m", rule=rule, tolerance=tolerance)
    observation = Observation(
        source=None, window=None, signing_date=0, targets=("T",), metrics=(metric,), values_per_entry=1
    )
    picks = [Pick(target="T", metric="m", choice=choice)]
    return base_score(picks, [Reading("T", "m", baseline, observed)], observation, scoring)


OVER, PAR, UNDER = Choice.OVER, Choice.PAR, Choice.UNDER


@pytest.mark.parametrize(
    ("rule", "tolerance", "baseline", "observed", "over", "par", "under"),
    [
        (Rule.EXACT, None, 5.0, 5.0, 0, 20, 0),
        (Rule.EXACT, None, 5.0, 5.1, 10, 0, 0),
        (Rule.ROUNDED, None, 70.4, 69.5, 0, 20, 0),
        (Rule.ROUNDED, None, 70.5, 70.4, 0, 0, 10),
        (Rule.ROUNDED, None, -0.5, 0.0, 10, 0, 0),  # half away from zero: -1
        (Rule.ROUNDED, None, 0.49999999999999994, 0.0, 0, 20, 0),
        (Rule.ROUNDED, None, 2.5, 3.0, 0, 20, 0),  # not half to even
        (Rule.WITHIN, "0.5", 1.0, 1.5, 10, 20, 0),  # both Par and Over
        (Rule.WITHIN, "0.5", 1.0, 1.75, 10, 0, 0),
        (Rule.WITHIN, "0.5", 1.0, 0.5, 0, 20, 10),
        (Rule.COMPASS, "22.0", 359.0, 1.0, 0, 20, 10),  # two degrees apart, raw value smaller
        (Rule.COMPASS, "22.0", 10.0, 32.0, 10, 20, 0),
        (Rule.COMPASS, "22.0", 10.0, 33.0, 10, 0, 0),
    ],
)
def test_fixed_rules(rule, tolerance, baseline, observed, over, par, under):
    got = tuple(points(rule, tolerance, choice, baseline, observed) for choice in (OVER, PAR, UNDER))
    assert got == (over, par, under)


@pytest.mark.parametrize(("observed", "right"), [(67.4, UNDER), (67.5, PAR), (71.0, PAR), (71.1, OVER)])
def test_lines_include_both_ends(observed, right):
    line = Line(target="T", metric="m", lower="-2.5", upper="1.0", window_hours=24)
    scoring = Scoring(rules=ScoringRules.LINES, lines=(line,))
    got = {choice: points(Rule.EXACT, None, choice, 70.0, observed, scoring) for choice in Choice}
    assert got == {choice: 10 if choice is right else 0 for choice in Choice}


@pytest.mark.parametrize("pair", [(None, 1.0), (1.0, None), (float("nan"), 1.0), (1.0, float("inf"))])
def test_a_missing_value_gives_nothing(pair):
    assert [points(Rule.WITHIN, "0.5", choice, *pair) for choice in Choice] == [0, 0, 0]


def entry(number):
    return UUID(f"01926f3a-0000-7000-8000-{number:012x}")


def test_ties_go_to_the_earlier_entry_id():
    scores = {entry(3): 20, entry(1): 20, entry(2): 30}
    assert [scored.player for scored in leaderboard(scores)] == [1, 0, 2]
    assert [scored.score for scored in leaderboard(scores)] == [300_000, 200_000, 200_000]
    # Ranking (1, 0) is the third of (0,1) (0,2) (1,0) (1,2) (2,0) (2,1).
    assert outcome_of(scores, 2) == 2


def test_the_whole_id_breaks_a_tie():
    low, high = UUID(int=(1 << 127) + 1), UUID(int=(1 << 127) + 2)
    assert [scored.entry_id for scored in leaderboard({high: 10, low: 10})] == [low, high]


def test_nobody_with_a_point_is_refund_all():
    assert outcome_of({entry(1): 0, entry(2): 0, entry(3): 0}, 2) == 6
    assert outcome_of({entry(1): 0, entry(2): 0, entry(3): 10}, 1) == 2
    assert leaderboard({entry(1): 0})[0].score == 10_000
    with pytest.raises(InvalidInput):
        outcome_of({entry(1): -1, entry(2): 0}, 1)
