"""What a bump pays: the target or a bound, never more than the cap, and always enough to replace the bump before."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from coordinator.domain.competitions.fee_bump import NOTHING, Bounds, Paid, bump_fee, fee_cap, fee_of
from coordinator_core.units import FeeRate, Sats

SATS = st.integers(0, 5_000_000).map(Sats)
VSIZES = st.integers(80, 2_000)
RATES = st.integers(25, 100_000).map(FeeRate)
PARENTS = st.one_of(st.just(NOTHING), st.builds(Paid, SATS, VSIZES))
PREVIOUS = st.one_of(st.none(), st.builds(Paid, SATS, VSIZES))


@given(PARENTS, VSIZES, PREVIOUS, RATES, RATES, RATES, SATS, SATS, st.booleans())
def test_bump(
    parent: Paid,
    vsize: int,
    previous: Paid | None,
    target: FeeRate,
    floor: FeeRate,
    incremental: FeeRate,
    rescued: Sats,
    affordable: Sats,
    near: bool,
) -> None:
    cap = fee_cap(rescued, near_deadline=near)
    fee = bump_fee(parent, vsize, previous, target, Bounds(floor, incremental, cap, affordable))
    if fee is None:
        return
    assert fee <= affordable
    assert fee <= (rescued if near else rescued // 10)
    package = parent.with_child(Paid(fee, vsize))
    # The target is reached, unless a bound is.
    assert package.reaches(target) or fee == min(cap, affordable)
    # A node takes it: alone, with its parent, and in the place of the bump before.
    assert Paid(fee, vsize).reaches(floor)
    assert package.reaches(floor)
    if previous is not None:
        assert fee >= previous.fee + fee_of(incremental, vsize)
        assert fee * previous.vsize > previous.fee * vsize
        assert 4 * fee >= 5 * previous.fee or fee == min(cap, affordable)


@given(PARENTS, VSIZES, PREVIOUS, RATES, RATES, SATS)
def test_none_only_when_a_bound_forbids_what_a_node_would_take(
    parent: Paid, vsize: int, previous: Paid | None, target: FeeRate, floor: FeeRate, cap: Sats
) -> None:
    incremental = FeeRate(250)
    fee = bump_fee(parent, vsize, previous, target, Bounds(floor, incremental, cap, cap))
    assume(fee is None)
    needed = [fee_of(floor, vsize), fee_of(floor, parent.vsize + vsize) - parent.fee]
    if previous is not None:
        needed += [previous.fee + fee_of(incremental, vsize), previous.fee * vsize // previous.vsize + 1]
    assert cap < max(needed)


@given(PARENTS, VSIZES, RATES)
def test_a_first_bump_without_bounds_pays_no_more_than_its_target_or_the_floor(
    parent: Paid, vsize: int, target: FeeRate
) -> None:
    floor = FeeRate(25)
    huge = Sats(21_000_000 * 100_000_000)
    fee = bump_fee(parent, vsize, None, target, Bounds(floor, floor, huge, huge))
    assert fee is not None
    least = max(fee_of(floor, vsize), fee_of(floor, parent.vsize + vsize) - parent.fee)
    assert fee == max(least, fee_of(target, parent.vsize + vsize) - parent.fee)


@given(st.lists(RATES, min_size=1, max_size=30))
def test_few_bumps_reach_any_rate(targets: list[FeeRate]) -> None:
    """An estimate that creeps upwards does not make one child for each satoshi."""
    parent, vsize, previous, made = Paid(Sats(200), 200), 110, None, 0
    bounds = Bounds(FeeRate(25), FeeRate(25), Sats(1_000_000), Sats(1_000_000))
    for target in sorted(targets):
        while not parent.with_child(previous or NOTHING).reaches(target):
            fee = bump_fee(parent, vsize, previous, target, bounds)
            if fee is None:
                return
            previous, made = Paid(fee, vsize), made + 1
            if fee == bounds.cap:
                return
    assert made <= 40


@given(st.integers(1, 4_000).map(Sats), VSIZES, VSIZES, st.integers(25, 2_000).map(FeeRate))
def test_replacement_meets_the_rules_of_nodes_and_no_more_than_a_quarter_beyond(
    fee: Sats, vsize: int, heavier: int, incremental: FeeRate
) -> None:
    """Small fees, where the quarter alone would not satisfy a node; a target that is reached already."""
    bounds = Bounds(FeeRate(1), incremental, Sats(10_000_000), Sats(10_000_000))
    parent = Paid(Sats(1_000_000), 200)
    found = bump_fee(parent, heavier, Paid(fee, vsize), FeeRate(25), bounds)
    assert found is not None
    quarter, relay, dearer = -(-5 * fee // 4), fee + fee_of(incremental, heavier), fee * heavier // vsize + 1
    assert found >= quarter
    assert found >= relay
    assert found * vsize > fee * heavier
    assert found == max(quarter, relay, dearer, fee_of(FeeRate(1), heavier))
