"""Amounts and prices (money section 1)."""

import pytest

from coordinator_core.competition.amounts import (
    UneconomicOutput,
    funding_value,
    gross_prizes,
    on_chain_shares,
    prizes,
    refunds,
)
from coordinator_core.competition.chain_cost import OUTCOME_WEIGHT, ContractShape, chain_cost, funding_weight
from coordinator_core.competition.fees import (
    FeeMarket,
    FeeRateAboveCeiling,
    NetworkFeeTooHigh,
    NoFeeEstimate,
    PriceLines,
    check_price,
    contract_fee_rate,
    coordinator_fee,
    network_fee,
    offer,
    price_lines,
)
from coordinator_core.competition.kickoff import (
    LightningTooSmall,
    Means,
    NetworkFeesTooLow,
    WalletTooSmall,
    kick_off,
)
from coordinator_core.errors import InvalidInput, Refused

RICH = Means(wallet=10**9, lightning=10**9)


def test_three_stakes_of_a_thousand_give_a_thousand_each(make_terms):
    assert refunds(make_terms({"money.entry_fee": 1_000, "money.weights": [1]}), 3) == (1_000, 1_000, 1_000)


def test_the_first_place_takes_the_remainder():
    assert gross_prizes(1_000, (1, 1, 1)) == (334, 333, 333)
    assert gross_prizes(1_001, (60, 40)) == (601, 400)
    assert gross_prizes(0, (1,)) == (0,)
    with pytest.raises(InvalidInput):
        gross_prizes(10, ())


def test_the_routing_allowance_is_taken_from_prizes_only(terms):
    first, second = prizes(terms, 3)
    assert (first.gross, second.gross) == (90_000, 60_000)
    assert (first.net, second.net) == (90_000 - 10 - 450, 60_000 - 10 - 300)
    assert second.routing_allowance == 310
    assert refunds(terms, 3) == (50_000,) * 3


def test_an_allowance_that_eats_a_prize_is_refused(make_terms):
    with pytest.raises(Refused, match="nothing of a prize"):
        prizes(make_terms({"money.routing_allowance_base": 60_000, "money.routing_allowance_ppm": 0}), 3)


@pytest.mark.parametrize(("fee", "bps", "cut"), [(50, 300, 2), (49, 300, 1), (1, 5_000, 1), (1_000, 250, 25)])
def test_the_coordinator_fee_rounds_half_up(make_terms, fee, bps, cut):
    changes = {"money.entry_fee": fee, "money.coordinator_fee_bps": bps}
    assert coordinator_fee(make_terms(changes)) == cut


def test_weights_are_those_of_the_table():
    assert OUTCOME_WEIGHT == 496
    assert funding_weight() == 42 + 2 * 272 + 2 * 172
    assert ContractShape(3, 1).ranked_split_weight() == 665
    assert ContractShape(3, 2).ranked_split_weight() == 871  # last index 5: two bytes bind it
    assert ContractShape(5, 2).ranked_split_weight() == 872  # 19: three
    assert ContractShape(12, 2).ranked_split_weight() == 873  # 131: four
    assert ContractShape(5, 2).expiry_split_weight() == 1451
    assert ContractShape(5, 2).refund_split_weight() == 1452
    assert ContractShape(25, 2).expiry_split_weight() == 4955
    assert ContractShape(25, 2).refund_split_weight() == 4957


def test_the_chain_cost_by_hand():
    cost = chain_cost(ContractShape(3, 2), 1_001)
    assert (cost.funding_fee, cost.outcome_fee, cost.split_fee, cost.anchors) == (931, 497, 872, 480)
    assert cost.total == 931 + 497 + 872 + 480


def test_the_network_fee_is_a_share_at_the_minimum_of_entries(make_terms):
    plain, dearer = make_terms(), make_terms({"money.network_fee_margin_bps": 2_500})
    assert network_fee(plain, 1_001) == -(-2_780 // 3) == 927
    assert network_fee(dearer, 1_001) == -(-2_780 * 5 // 12) == 1_159


def test_the_contract_rate_clears_the_relay_floor(terms):
    assert contract_fee_rate(terms, FeeMarket(250, 250)) == 253 + 8
    assert contract_fee_rate(terms, FeeMarket(300, 250)) == 300
    with pytest.raises(FeeRateAboveCeiling):
        contract_fee_rate(terms, FeeMarket(12_501, 250))
    with pytest.raises(FeeRateAboveCeiling):
        contract_fee_rate(terms, FeeMarket(250, 12_400))
    with pytest.raises(NoFeeEstimate):
        price_lines(terms, FeeMarket(None, 250))
    with pytest.raises(InvalidInput):
        FeeMarket(0, 250)


def test_tickets_pause_above_a_tenth_of_the_entry_fee(make_terms):
    market = FeeMarket(1_001, 250)
    assert offer(make_terms({"money.entry_fee": 9_270}), market).network_fee == 927
    with pytest.raises(NetworkFeeTooHigh):
        offer(make_terms({"money.entry_fee": 9_269}), market)


def test_a_price_has_three_lines_and_one_sum(terms):
    price = offer(terms, FeeMarket(1_001, 250))
    assert (price.entry_fee, price.coordinator_fee, price.network_fee) == (50_000, 1_500, 927)
    assert price.total == 52_427
    check_price(terms, price)


@pytest.mark.parametrize(
    ("entry", "cut", "chain", "field"),
    [
        (50_001, 1_500, 927, "price.entry_fee"),
        (50_000, 1_501, 927, "price.coordinator_fee"),
        (50_000, 1_500, 5_001, "price.network_fee"),
    ],
)
def test_a_player_refuses_another_price(terms, entry, cut, chain, field):
    with pytest.raises(Refused) as caught:
        check_price(terms, PriceLines(entry_fee=entry, coordinator_fee=cut, network_fee=chain))
    assert caught.value.field == field


def test_the_player_knows_the_ceiling_of_the_network_fee(make_terms):
    terms = make_terms({"contract.fee_rate_ceiling": 1_001})
    check_price(terms, PriceLines(entry_fee=50_000, coordinator_fee=1_500, network_fee=927))
    with pytest.raises(Refused):
        check_price(terms, PriceLines(entry_fee=50_000, coordinator_fee=1_500, network_fee=928))


def test_the_funding_holds_pool_fees_and_anchors(terms):
    assert funding_value(terms, 3, 1_001) == 150_000 + 497 + 872 + 480


def test_on_chain_shares_follow_the_split(terms):
    shares = on_chain_shares(terms, 3, 1_001)
    assert shares.funding_value == 151_849
    assert shares.outcome_value == 150_000 + 872 + 240
    # The fee is in the pool by weight and comes off in equal parts.
    assert shares.ranked == (150_872 * 60 // 100 - 436, 150_872 * 40 // 100 - 436)
    assert shares.expiry == 150_872 // 3 - 1_077 // 3


def test_kick_off_refuses_a_contract_with_dust(make_terms):
    with pytest.raises(UneconomicOutput):
        kick_off(make_terms({"money.entry_fee": 500}), [10**6] * 3, FeeMarket(12_500, 250), RICH)


def test_dust_is_refused(make_terms):
    with pytest.raises(UneconomicOutput):
        on_chain_shares(make_terms({"money.entry_fee": 500}), 3, 12_500)


def test_kick_off_takes_what_was_priced(terms):
    market = FeeMarket(1_001, 250)
    fee = offer(terms, market).network_fee
    made = kick_off(terms, [fee] * 3, market, RICH)
    assert (made.fee_rate, made.funding_value) == (1_001, 151_849)


def test_kick_off_names_what_is_missing(terms):
    market = FeeMarket(1_001, 250)
    with pytest.raises(NetworkFeesTooLow):
        kick_off(terms, [927, 927, 925], market, RICH)
    kick_off(terms, [927, 927, 926], market, RICH)
    with pytest.raises(WalletTooSmall):
        kick_off(terms, [927] * 3, market, Means(wallet=151_849 + 930, lightning=150_000))
    with pytest.raises(LightningTooSmall):
        kick_off(terms, [927] * 3, market, Means(wallet=151_849 + 931, lightning=149_999))
    kick_off(terms, [927] * 3, market, Means(wallet=151_849 + 931, lightning=150_000))
    with pytest.raises(FeeRateAboveCeiling):
        kick_off(terms, [927] * 3, FeeMarket(12_501, 250), RICH)
    with pytest.raises(Refused, match="2 entries"):
        kick_off(terms, [927] * 2, market, RICH)
