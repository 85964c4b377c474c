from dataclasses import replace

import pytest

from coordinator_core.dlc import EXPIRY, Contract, Outcome, SignedContract, WinCondition
from coordinator_core.dlc.anchor import BumpUnaffordable, Coin, MissingAnchor, anchor_child
from coordinator_core.dlc.outcome import outcome_value
from coordinator_core.dlc.relay import BelowRelayFloor, check_relay, least_fee_rate
from coordinator_core.dlc.split import split_weight
from coordinator_core.dlc.timelocks import lock_time_passed, reclaim_height, split_height, win_height
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import OutPoint, TxOut, fee_for_weight, pay_to_taproot
from coordinator_core.units import FeeRate, Sats

CHANGE = pay_to_taproot(bytes(range(32)))
WINNERS = (1, 2, 3, 4, 5, 10, 20, 25)
UNBOUND = (613, 817, 1021, 1193, 1397, 2289, 4041, 4901)


@pytest.mark.parametrize(("winners", "weight"), list(zip(WINNERS, UNBOUND, strict=True)))
@pytest.mark.parametrize("prefix", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("anchor", [None, 240])
def test_split_weights_of_dlctix(helpers, winners, weight, prefix, anchor):
    parameters = helpers.make_parameters(anchor=anchor)
    assert split_weight(parameters, winners, 69 + prefix) == weight + prefix + (52 if anchor else 0)


def test_control_blocks_above_252_bytes_take_a_longer_size(helpers):
    parameters = helpers.make_parameters(anchor=None)
    grown = split_weight(parameters, 65, 69) - split_weight(parameters, 64, 69)
    assert grown == 4 * 43 + 32
    grown = split_weight(parameters, 33, 69) - split_weight(parameters, 32, 69)
    assert grown == 4 * 43 + 32 + 2


def test_outcome_value_pays_fee_and_anchor_first(helpers):
    parameters = helpers.make_parameters(fee_rate=12_500, funding_value=200_000, anchor=None)
    assert outcome_value(parameters) == 194_450
    assert outcome_value(replace(parameters, anchor=240)) == 193_560


def test_the_anchor_comes_off_before_the_weights(bound_anchor):
    split = bound_anchor.contract.split_transaction(Outcome(0))
    assert [o.value for o in split.outputs] == [110_548, 71_884, 240]


def test_bound_leaves_begin_with_the_outcome(helpers):
    contract = Contract.build(helpers.make_parameters(20, 1), helpers.outpoint)
    prefixes = {
        o: contract.split_script(WinCondition(o, contract.record(o).winners[0])).hex() for o in contract.outcomes
    }
    assert prefixes[Outcome(0)].startswith("0075a820")
    assert prefixes[Outcome(16)].startswith("6075a820")
    assert prefixes[Outcome(17)].startswith("011175a820")
    assert prefixes[EXPIRY].startswith("4f75a820")


@pytest.fixture(scope="module")
def coin():
    return Coin(OutPoint(b"\x77" * 32, 2), TxOut(Sats(50_000), CHANGE))


@pytest.mark.parametrize("kind", ["outcome", "expiry", "split"])
def test_a_child_lifts_its_parent_to_the_rate(bound_anchor, coin, kind):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    parent = {
        "outcome": lambda: signed.outcome_transaction(bound_anchor.attestations[0]),
        "expiry": signed.expiry_transaction,
        "split": lambda: signed.split_transaction(WinCondition(Outcome(0), 1), bound_anchor.preimage("ticket", 1)),
    }[kind]()
    spent = {"split": bound_anchor.contract.outcome_output(Outcome(0))}.get(kind, bound_anchor.contract.funding_output)
    parent_fee = spent.value - sum(o.value for o in parent.outputs)
    rate = FeeRate(40_000)
    child = anchor_child(bound_anchor.contract, parent, [coin], CHANGE, rate)

    assert child.transaction.inputs[0].previous_output == parent.outpoint(len(parent.outputs) - 1)
    assert child.previous_outputs == (parent.outputs[-1], coin.output)
    assert [i.sequence for i in child.transaction.inputs] == [0xFFFFFFFD] * 2
    assert child.fee == 240 + 50_000 - child.transaction.outputs[0].value
    size = child.transaction.with_witness(1, (bytes(64),)).vsize
    assert parent_fee + child.fee == fee_for_weight(rate, 4 * (parent.vsize + size))


def test_a_child_of_a_generous_parent_pays_for_itself(bound_anchor, coin):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    parent = signed.outcome_transaction(bound_anchor.attestations[0])
    child = anchor_child(bound_anchor.contract, parent, [coin], CHANGE, FeeRate(500))
    size = child.transaction.with_witness(1, (bytes(64),)).vsize
    assert child.fee == fee_for_weight(FeeRate(500), 4 * size)


def test_bumps_that_cannot_be(bound_anchor, plain, coin):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    parent = signed.outcome_transaction(bound_anchor.attestations[0])
    with pytest.raises(BumpUnaffordable, match="coins"):
        anchor_child(bound_anchor.contract, parent, [], CHANGE, FeeRate(500))
    with pytest.raises(InvalidInput, match="not signed"):
        anchor_child(
            bound_anchor.contract, bound_anchor.contract.outcome_transaction(Outcome(0)), [coin], CHANGE, FeeRate(500)
        )
    with pytest.raises(InvalidInput, match="not a transaction of this contract"):
        anchor_child(plain.contract, parent, [coin], CHANGE, FeeRate(500))
    unanchored = SignedContract(plain.contract, plain.signatures).outcome_transaction(plain.attestations[0])
    with pytest.raises(MissingAnchor):
        anchor_child(plain.contract, unanchored, [coin], CHANGE, FeeRate(500))


def test_rates_that_keep_splits_above_the_floor():
    assert least_fee_rate(FeeRate(250)) == 261
    assert least_fee_rate(FeeRate(25)) == 34
    assert least_fee_rate(FeeRate(0)) == 8


def test_a_rate_at_the_floor_leaves_splits_below_it(bound_anchor):
    at_floor = replace(bound_anchor.parameters, fee_rate=FeeRate(250), funding_value=Sats(200_111), anchor=None)
    contract = Contract.build(at_floor, bound_anchor.contract.outpoint)
    # 204 sat on 205 vB: seen to be refused by relay policy while its outcome passes.
    assert contract.split_fee(Outcome(0)) == 204
    with pytest.raises(BelowRelayFloor, match="too close"):
        check_relay(contract, FeeRate(250))


def test_the_least_rate_keeps_every_split_above_the_floor(helpers):
    contract = Contract.build(helpers.make_parameters(5, 2, fee_rate=least_fee_rate(FeeRate(250))), helpers.outpoint)
    check_relay(contract, FeeRate(250))


def test_every_split_is_measured_whatever_the_rate(bound_anchor, monkeypatch):
    monkeypatch.setattr("coordinator_core.dlc.relay.least_fee_rate", lambda floor: floor)
    at_floor = replace(bound_anchor.parameters, fee_rate=FeeRate(250), funding_value=Sats(200_111), anchor=None)
    with pytest.raises(BelowRelayFloor, match="the split of att0 pays 204 sat where nodes ask 205"):
        check_relay(Contract.build(at_floor, bound_anchor.contract.outpoint), FeeRate(250))


def test_heights_of_the_timeline(helpers):
    parameters = helpers.make_parameters()
    assert split_height(parameters, 1_000) == 1_144
    assert win_height(parameters, 1_200) == 1_344
    assert reclaim_height(parameters, 1_000) == 1_288


@pytest.mark.parametrize(
    ("lock_time", "height", "median", "passed"),
    [
        (900_000, 900_000, 2_000_000_000, False),
        (900_000, 900_001, 0, True),
        (1_700_000_000, 1, 1_700_000_000, False),
        (1_700_000_000, 1, 1_700_000_001, True),
        (500_000_000, 600_000_000, 499_999_999, False),
        (499_999_999, 500_000_000, 0, True),
    ],
)
def test_absolute_lock_times(lock_time, height, median, passed):
    assert lock_time_passed(lock_time, height, median) is passed
