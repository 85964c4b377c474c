"""Invariants of prices, prizes and contract amounts."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from coordinator_core.competition.amounts import (
    UneconomicOutput,
    funding_value,
    gross_prizes,
    on_chain_shares,
    pool,
    prizes,
    refunds,
)
from coordinator_core.competition.budget import budget
from coordinator_core.competition.chain_cost import ContractShape, chain_cost
from coordinator_core.competition.fees import FeeMarket, FeeRateAboveCeiling, check_price, network_fee, price_lines
from coordinator_core.competition.kickoff import Means, kick_off
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.competition.schedule import date_of, funding_deadline
from coordinator_core.oracle.outcomes import outcome_count, ranking_at, ranking_index
from coordinator_core.transaction import fee_for_weight

fees = st.integers(1, 10**9)
weights = st.lists(st.integers(1, 1_000), min_size=1, max_size=5).map(lambda listed: sorted(listed, reverse=True))
sizes = st.sampled_from([(2, 1), (25, 1), (3, 2), (20, 2), (4, 3), (11, 3), (5, 4), (7, 4), (6, 5)])
RICH = Means(wallet=21 * 10**14, lightning=21 * 10**14)


@given(st.integers(0, 21 * 10**14), weights)
def test_gross_prizes_add_up_to_the_pool_and_keep_their_order(amount, ratios):
    shares = gross_prizes(amount, ratios)
    assert sum(shares) == amount
    assert all(share * sum(ratios) <= amount * ratio for share, ratio in list(zip(shares, ratios, strict=True))[1:])
    assert list(shares) == sorted(shares, reverse=True)


@given(st.integers(2, 25), fees)
def test_refunds_are_exact_for_any_number_of_entries(make_terms, entries, entry_fee):
    terms = make_terms({"money.entry_fee": entry_fee, "money.weights": [1]})
    amounts = refunds(terms, entries)
    assert amounts == (entry_fee,) * entries
    assert sum(amounts) == pool(entries, entry_fee)


@given(
    size=sizes,
    extra=st.integers(0, 22),
    entry_fee=st.integers(10**6, 10**9),
    estimate=st.integers(1, 60_000),
    floor=st.integers(1, 50_000),
    margin=st.integers(0, 50_000),
)
def test_what_is_priced_now_passes_now(make_terms, size, extra, entry_fee, estimate, floor, margin):
    minimum, places = size
    maximum = min(minimum + extra, 25)
    terms = make_terms(
        {
            "entries.minimum": minimum,
            "entries.maximum": maximum,
            "money.weights": [1] * places,
            "money.entry_fee": entry_fee,
            "money.network_fee_margin_bps": margin,
            "contract.fee_rate_ceiling": 60_000,
        }
    )
    market = FeeMarket(estimate, floor)
    for entries in (minimum, maximum):
        made = kick_off(terms, [price_lines(terms, market).network_fee] * entries, market, RICH)
        assert made.fee_rate * 100 >= floor * 101
        assert made.fee_rate >= estimate


@given(size=sizes, rate=st.integers(1, 60_000), margin=st.integers(0, 50_000))
def test_the_network_fee_covers_its_share_and_no_more_than_a_satoshi_above(make_terms, size, rate, margin):
    entries, places = size
    changes = {"entries": {"minimum": entries, "maximum": 25}, "money.weights": [1] * places}
    terms = make_terms(changes | {"money.network_fee_margin_bps": margin})
    asked = network_fee(terms, rate) * entries * 10_000
    cost = chain_cost(ContractShape(entries, places), rate).total * (10_000 + margin)
    assert cost <= asked < cost + entries * 10_000


@given(estimate=st.integers(1, 20_000), floor=st.integers(1, 20_000))
def test_every_price_that_is_offered_satisfies_a_player_unless_tickets_pause(make_terms, estimate, floor):
    terms = make_terms({"money.entry_fee": 10**9})
    try:
        price = price_lines(terms, FeeMarket(estimate, floor))
    except FeeRateAboveCeiling:
        assert max(estimate, math.ceil(floor * 1.01) + 8) >= terms.contract.fee_rate_ceiling
    else:
        check_price(terms, price)


@given(size=sizes, entry_fee=st.integers(1_000, 10**8), rate=st.integers(1, 60_000), ratios=st.data())
def test_no_contract_spends_more_than_it_holds(make_terms, size, entry_fee, rate, ratios):
    entries, places = size
    listed = ratios.draw(st.lists(st.integers(1, 100), min_size=places, max_size=places))
    terms = make_terms(
        {
            "entries": {"minimum": entries, "maximum": 25},
            "money.weights": sorted(listed, reverse=True),
            "money.entry_fee": entry_fee,
        }
    )
    try:
        shares = on_chain_shares(terms, entries, rate)
    except UneconomicOutput:
        assume(False)
    shape, held = ContractShape(entries, places), funding_value(terms, entries, rate)
    assert shares.funding_value == held
    left = shares.outcome_value - shape.anchor
    for paid, count, weight in (
        (sum(shares.ranked), places, shape.ranked_split_weight()),
        (shares.refund * entries, entries, shape.refund_split_weight()),
        (shares.expiry * entries, entries, shape.expiry_split_weight()),
    ):
        fee = left - paid
        # The fee is shared rounding down, the shares are rounded down as well.
        assert fee_for_weight(rate, weight) - count < fee < fee_for_weight(rate, weight) + count
    if places == 1:
        assert shares.ranked[0] == pool(entries, entry_fee)


@given(size=sizes, data=st.data())
def test_payouts_of_every_outcome_add_up_to_the_pool(make_terms, size, data):
    entries, places = size
    changes = {"entries": {"minimum": entries, "maximum": 25}, "money.weights": list(range(places, 0, -1))}
    terms = make_terms(changes)
    outcome = data.draw(st.none() | st.integers(0, outcome_count(entries, places) - 1))
    payouts = payouts_at(terms, entries, outcome)
    assert sum(payout.gross for payout in payouts) == pool(entries, terms.money.entry_fee)
    assert len({payout.player for payout in payouts}) == len(payouts)
    ranking = None if outcome is None else ranking_at(outcome, entries, places)
    if ranking is not None:
        assert ranking_index(ranking, entries) == outcome
        assert [payout.net for payout in payouts] == [prize.net for prize in prizes(terms, entries)]


@given(tip=st.integers(1, 10**7), now=st.integers(10**9, 2 * 10**9), seconds=st.integers(1, 10**7))
def test_f_is_never_expected_before_the_closing_ends(tip, now, seconds):
    deadline = funding_deadline(tip, now, now + seconds)
    assert date_of(deadline, tip, now) >= now + seconds
    assert (deadline - 1 - tip) * 600 < seconds * 1.15 + 1


@given(ceiling=st.integers(1, 30_000), places=st.integers(1, 2))
def test_the_minimum_entry_fee_is_the_boundary(make_terms, ceiling, places):
    changes = {"contract.fee_rate_ceiling": ceiling, "money.weights": [1] * places}
    least = budget(make_terms(changes), 900_000, 1_790_000_000, 18).minimum_entry_fee
    for entry_fee, fits in ((least, True), (least - 1, False)):
        if entry_fee < 1:
            continue
        made = budget(make_terms(changes | {"money.entry_fee": entry_fee}), 900_000, 1_790_000_000, 18)
        assert (made.objections == ()) is fits
