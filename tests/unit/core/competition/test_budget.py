import pytest

from coordinator_core.competition.budget import LEAST_SHARE, budget, route_reach
from coordinator_core.errors import Refused

NOW = 1_790_000_000
TIP = 900_000


def test_a_sound_budget_has_a_row_for_each_number_of_entries(terms):
    made = budget(terms, TIP, NOW, 18)
    assert made.objections == ()
    made.require()
    assert [row.entries for row in made.rows] == [3, 4, 5]
    five = made.rows[-1]
    assert (five.outcomes, five.signing_items, five.batches, five.signing_sessions, five.winner_sets) == (
        21,
        72,
        1,
        4,
        11,
    )
    assert made.funding_date == NOW + 94 * 600
    # 930 + 496 + 872 WU of bytes at 12,500 sat/kWU, two anchors; the fee is a third of it for three entries.
    three = made.rows[0]
    assert three.chain_cost == 11_625 + 6_200 + 10_888 + 480
    assert three.network_fees == 3 * 9_731 >= three.chain_cost
    assert made.unpaused_entry_fee == 97_310


def fitting(places, maximum):
    return {
        "money.weights": [1] * places,
        "entries": {"minimum": max(places + 1, 2), "maximum": maximum},
        "money.entry_fee": 5_000_000,
    }


@pytest.mark.parametrize(("places", "largest"), [(1, 25), (2, 20), (3, 11), (4, 7), (5, 6)])
def test_the_largest_that_the_signing_service_takes(make_terms, places, largest):
    assert budget(make_terms(fitting(places, largest)), TIP, NOW, 18).objections == ()
    if largest < 25:
        too_large = budget(make_terms(fitting(places, largest + 1)), TIP, NOW, 18)
        assert too_large.objections[0].field == "terms.entries.maximum"
        with pytest.raises(Refused):
            too_large.require()


def test_outcomes_have_a_limit(make_terms):
    made = budget(make_terms(fitting(4, 13)), TIP, NOW, 18)
    assert any("17161 outcomes" in objection.reason for objection in made.objections)


def test_the_minimum_entry_fee_is_the_least_without_objection(make_terms, terms):
    least = budget(terms, TIP, NOW, 18).minimum_entry_fee
    enough = budget(make_terms({"money.entry_fee": least}), TIP, NOW, 18)
    short = budget(make_terms({"money.entry_fee": least - 1}), TIP, NOW, 18)
    assert enough.objections == ()
    assert [objection.field for objection in short.objections] == ["terms.money.entry_fee"]
    assert min(_least_share(row) for row in enough.rows) >= LEAST_SHARE > min(_least_share(row) for row in short.rows)
    assert f"below {LEAST_SHARE} sat" in short.objections[0].reason
    assert f"at least {least} sat" in short.objections[0].fix


def _least_share(row):
    return min(*row.shares.ranked, row.shares.refund, row.shares.expiry)


def test_the_minimum_entry_fee_leaves_something_of_each_prize(make_terms):
    changes = {"money.routing_allowance_base": 400_000, "money.routing_allowance_ppm": 0}
    made = budget(make_terms(changes), TIP, NOW, 18)
    # The second of three entries' places gets two fifths of the pool: more than 400,000 from 333,335 on.
    assert made.minimum_entry_fee == 333_335
    assert [objection.field for objection in made.objections] == ["terms.money.entry_fee"]


def test_a_dearer_contract_needs_a_larger_entry_fee(make_terms):
    at = [budget(make_terms({"contract.fee_rate_ceiling": r}), TIP, NOW, 18).minimum_entry_fee for r in (1_000, 12_500)]
    assert at[0] < at[1]


def test_holds_that_last_too_long_are_an_objection(make_terms):
    later = 3 * 86_400
    changes = {
        "schedule.entries_close": NOW + 40_000 + later,
        "schedule.funding_deadline": TIP + 591,
        "observation.window": {"start": NOW + 5 * 86_400, "end": NOW + 6 * 86_400},
        "observation.signing_date": NOW + 6 * 86_400,
        "contract.expiry": NOW + 8 * 86_400,
    }
    made = budget(make_terms(changes), TIP, NOW, 18)
    assert ["escrow mode" in objection.fix for objection in made.objections] == [True]


def test_the_schedule_is_part_of_it(terms):
    made = budget(terms, TIP + 5, NOW, 18)
    assert [objection.field for objection in made.objections] == ["terms.schedule.funding_deadline"]


@pytest.mark.parametrize(
    ("delta", "at_first", "after_a_day"), [(288, 6, 4), (144, 2, 0), (200, 3, 2), (199, 3, 1), (100, 1, 0)]
)
def test_route_reach(delta, at_first, after_a_day):
    assert (route_reach(delta, 0), route_reach(delta)) == (at_first, after_a_day)


def test_one_router_for_112_blocks_at_delta_144():
    assert (route_reach(144, 112), route_reach(144, 113)) == (1, 0)
