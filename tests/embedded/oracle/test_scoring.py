"""Points and ranking, from hand-made readings."""

from uuid import UUID

import pytest

from coordinator.embedded.oracle.metrics import METRICS
from coordinator.embedded.oracle.scoring import Band, Pick, Reading, Scored, base_score, winning_indices


def points(
    metric: str, prediction: str, baseline: float | None, observed: float | None, band: Band | None = None
) -> int:
    pick = Pick("KORD", metric, prediction)
    reading = Reading("KORD", metric, baseline, observed)
    return base_score([pick], [reading], lambda _target, name: band or METRICS[name].par)


@pytest.mark.parametrize(
    ("metric", "baseline", "observed", "over", "par", "under"),
    [
        ("temp_high", 70.0, 70.4, 0, 20, 0),
        ("temp_high", 70.0, 70.5, 10, 0, 0),
        ("temp_low", -2.5, -3.4, 0, 20, 0),
        ("temp_low", 0.5, 1.4, 0, 20, 0),
        ("temp_low", 70.0, 69.4, 0, 0, 10),
        ("wind_speed", 9.0, 9.0, 0, 20, 0),
        ("wind_speed", 9.0, 9.1, 10, 0, 0),
        ("rain_amt", 0.25, 0.3, 10, 20, 0),
        ("rain_amt", 0.25, 0.5, 10, 0, 0),
        ("snow_amt", 1.0, 0.5, 0, 20, 10),
        ("humidity", 60.0, 55.0, 0, 20, 10),
        ("humidity", 60.0, 54.9, 0, 0, 10),
        ("wind_direction", 359.0, 1.0, 0, 20, 10),
        ("wind_direction", 10.0, 32.0, 10, 20, 0),
        ("wind_direction", 10.0, 33.0, 10, 0, 0),
        ("temp_high", None, 70.0, 0, 0, 0),
        ("temp_high", 70.0, None, 0, 0, 0),
        ("temp_high", 70.0, float("nan"), 0, 0, 0),
        ("temp_high", float("inf"), 70.0, 0, 0, 0),
    ],
)
def test_fixed_rules(metric, baseline, observed, over, par, under) -> None:
    scored = [points(metric, prediction, baseline, observed) for prediction in ("Over", "Par", "Under")]
    assert scored == [over, par, under]


@pytest.mark.parametrize(("miss", "right"), [(-2.6, "Under"), (-2.5, "Par"), (0.0, "Par"), (1.5, "Par"), (1.6, "Over")])
def test_lines_pay_the_one_right_band(miss: float, right: str) -> None:
    band = Band(-2.5, 1.5)
    for prediction in ("Over", "Par", "Under"):
        expected = 10 if prediction == right else 0
        assert points("temp_high", prediction, 0.0, miss, band) == expected


def test_a_pick_without_rule_earns_nothing() -> None:
    assert (
        base_score([Pick("KORD", "temp_high", "Par")], [Reading("KORD", "temp_high", 1.0, 1.0)], lambda *_: None) == 0
    )


def an_id(number: int) -> UUID:
    return UUID(int=number)


def test_ranking_is_by_points_then_by_the_whole_id() -> None:
    scored = [Scored(an_id(40), 30), Scored(an_id(10), 10), Scored(an_id(30), 30), Scored(an_id(20), 0)]
    assert winning_indices(scored, 3) == (2, 3, 0)


def test_the_larger_half_of_an_id_decides_before_the_smaller() -> None:
    early, late = UUID(int=1 << 100), UUID(int=(1 << 100) + 1)
    assert winning_indices([Scored(late, 10), Scored(early, 10)], 1) == (0,)


def test_nobody_scored_means_everyone_is_refunded() -> None:
    assert winning_indices([Scored(an_id(i), 0) for i in (3, 2, 1)], 1) == (0, 1, 2)


def test_the_stored_score_is_never_zero() -> None:
    assert [Scored(an_id(1), base).score for base in (0, 1, 20)] == [10_000, 10_000, 200_000]
