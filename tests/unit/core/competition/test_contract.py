"""Parameters from terms and roster; predicted weights and amounts against the built contract."""

from dataclasses import replace
from uuid import UUID

import pytest

from coordinator_core.competition.amounts import on_chain_shares
from coordinator_core.competition.budget import LEAST_SHARE, SWEEP_WEIGHT
from coordinator_core.competition.chain_cost import OUTCOME_WEIGHT, ContractShape, chain_cost
from coordinator_core.competition.contract import contract_parameters, verify_parameters
from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.dlc import EXPIRY, Contract, WinCondition
from coordinator_core.errors import InvalidInput, Refused, VerificationFailed
from coordinator_core.oracle.locking import locking_points
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint, fee_for_weight, input_weight, leaf_hash, predict_weight

MARKET_MAKER = SecretKey.from_bytes(sha256(b"market maker"))
NONCE = SecretKey.from_bytes(sha256(b"nonce"))
PICKS = [Pick(target="KORD", metric=m, choice=Choice.OVER) for m in ("temp_high", "rain_amt")] + [
    Pick(target="KSAW", metric="rain_amt", choice=Choice.UNDER)
]


def roster(terms, count):
    return [
        sign_entry(
            SecretKey.from_bytes(sha256(b"identity %d" % i)),
            Secret(sha256(b"root %d" % i)),
            terms_hash=terms.hash,
            entry_id=UUID(f"01926f3a-0000-7000-8000-{i + 1:012x}"),
            ticket_hash=sha256(b"ticket %d" % i),
            picks=PICKS,
            created_at=1_790_000_000,
        )
        for i in range(count)
    ]


def derive(terms, entries, **change):
    if "locking_points" not in change:
        change["locking_points"] = locking_points(terms.oracle_key, NONCE.public_key, len(entries), terms.places)
    values = {"attempt": 1, "market_maker": MARKET_MAKER.public_key, "fee_rate": 1_001} | change
    return contract_parameters(terms, entries, **values)


def test_players_are_in_the_order_of_their_ids(terms):
    entries = roster(terms, 3)
    parameters = derive(terms, entries[::-1], attempt=3)
    assert [player.public_key for player in parameters.players] == [entry.key(3) for entry in entries]
    assert parameters.players[0].ticket_hash == entries[0].ticket_hash
    assert parameters.event.expiry == terms.contract.expiry
    assert len(parameters.outcomes) == 8
    assert parameters.payouts(EXPIRY) == {0: 1, 1: 1, 2: 1}


@pytest.mark.parametrize(("weights", "count"), [([1], 3), ([60, 40], 3), ([60, 40], 5), ([1, 1, 1], 4)])
def test_predictions_are_what_is_built(make_terms, weights, count):
    changes = {"money.weights": weights, "entries": {"minimum": len(weights) + 1, "maximum": 5}}
    terms = make_terms(changes | {"entries.minimum": max(2, len(weights) + 1)})
    parameters = derive(terms, roster(terms, count))
    contract = Contract.build(parameters, OutPoint(bytes(32), 0))
    shape, shares = ContractShape(count, terms.places), on_chain_shares(terms, count, 1_001)
    last, refund_all = shape.rankings - 1, shape.rankings

    assert len(list(contract.slots())) == shape.signing_items
    assert contract.outcome_transaction(EXPIRY).weight + 66 + 2 == OUTCOME_WEIGHT
    cost = chain_cost(shape, 1_001)
    assert parameters.funding_value - contract.outcome_output(0).value == cost.outcome_fee + 240
    for outcome, weight in (
        (last, shape.ranked_split_weight()),
        (refund_all, shape.refund_split_weight()),
        (EXPIRY, shape.expiry_split_weight()),
    ):
        winners = contract.record(outcome).winners
        script, bare = contract.split_script(WinCondition(outcome, winners[0])), contract.split_transaction(outcome)
        control = 33 + 32 * (1 + (len(winners) - 1).bit_length())
        assert bare.weight + 2 + 1 + 65 + 33 + (1 + len(script)) + (1 + control) == weight

    values = [contract.split_transaction(outcome).outputs for outcome in range(shape.rankings)]
    payouts = [parameters.payouts(outcome) for outcome in range(shape.rankings)]
    for place, weight in enumerate(weights):
        paid = [
            out[list(p).index(w)].value for out, p in zip(values, payouts, strict=True) for w in p if p[w] == weight
        ]
        assert min(paid) == shares.ranked[place]
    assert {out.value for out in contract.split_transaction(refund_all).outputs[:-1]} == {shares.refund}
    assert {out.value for out in contract.split_transaction(EXPIRY).outputs[:-1]} == {shares.expiry}
    assert contract.outcome_output(0).value == shares.outcome_value


def test_a_share_of_the_budget_pays_for_each_way_to_take_it(make_terms):
    terms = make_terms({"contract.delta": 288})
    contract = Contract.build(derive(terms, roster(terms, 3)), OutPoint(bytes(32), 0))
    output = contract.winner_output(0)
    preimages = {output.win_script: (32,), output.sellback_script: (32,), output.reclaim_script: ()}
    weights = []
    for script, preimage in preimages.items():
        control = output.taproot.control_block(leaf_hash(script))
        spend = input_weight((64, *preimage, len(script), len(control)))
        weights.append(predict_weight([spend], [34]))
    assert max(weights) == weights[0] == SWEEP_WEIGHT
    assert LEAST_SHARE - fee_for_weight(261, SWEEP_WEIGHT) == 330


def test_what_the_coordinator_sends_is_derived_again(terms):
    entries = roster(terms, 3)
    parameters = derive(terms, entries)
    points = parameters.event.locking_points

    def verify(sent):
        verify_parameters(sent, terms, entries, attempt=1, locking_points=points)

    verify(parameters)
    event, players = parameters.event, parameters.players
    for change in (
        {"players": players[::-1]},
        {"players": (replace(players[0], payout_hash=bytes(32)), *players[1:])},
        {"event": replace(event, expiry=event.expiry + 1)},
        {"event": replace(event, locking_points=points[::-1])},
        {"outcome_payouts": {**parameters.outcome_payouts, 0: {0: 61, 1: 40}}},
        {"outcome_payouts": {o: p for o, p in parameters.outcome_payouts.items() if o != EXPIRY}},
        {"funding_value": parameters.funding_value + 1},
        {"relative_locktime_block_delta": 145},
        {"anchor": None},
        {"outcome_bound_splits": False},
    ):
        with pytest.raises(VerificationFailed) as caught:
            verify(replace(parameters, **change))
        assert caught.value.what == f"parameters.{next(iter(change))}"
    with pytest.raises(VerificationFailed):
        verify(derive(terms, entries, attempt=2))
    with pytest.raises(Refused):
        verify(replace(parameters, fee_rate=12_501))


def test_limits(terms):
    entries = roster(terms, 3)
    with pytest.raises(Refused):
        derive(terms, entries[:2], locking_points=())
    with pytest.raises(Refused):
        derive(terms, entries, fee_rate=0)
    with pytest.raises(InvalidInput):
        derive(terms, entries, locking_points=())
