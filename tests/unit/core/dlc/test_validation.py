from dataclasses import replace

import pytest

from coordinator_core.dlc import EXPIRY, Contract, InsufficientFunds, Outcome, UnboundSharedWinners, validate
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.secp256k1 import generator_mul

U64 = (1 << 64) - 1


@pytest.fixture
def parameters(helpers):
    return helpers.make_parameters(3, 2)


def refusal(parameters, *, foreign: bool = False) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        validate(parameters, foreign=foreign)
    return caught.value


def with_player(parameters, index, **changes):
    players = list(parameters.players)
    players[index] = replace(players[index], **changes)
    return replace(parameters, players=tuple(players))


def with_payouts(parameters, **changes):
    payouts = dict(parameters.outcome_payouts)
    for name, weights in changes.items():
        payouts[EXPIRY if name == "exp" else Outcome(int(name[3:]))] = weights
    return replace(parameters, outcome_payouts=payouts)


def with_points(parameters, points):
    return replace(parameters, event=replace(parameters.event, locking_points=tuple(points)))


def accepts(parameters, **options):
    """True; raises what is refused."""
    validate(parameters, **options)
    return True


def test_valid_parameters(parameters):
    assert accepts(parameters)
    assert accepts(parameters, foreign=True)


STORED_RULES = {
    "nothing paid": (lambda p: replace(p, outcome_payouts={}), "outcome_payouts"),
    "no players": (lambda p: replace(p, players=()), "players"),
    "ticket hash twice": (
        lambda p: with_player(p, 2, ticket_hash=p.players[0].ticket_hash),
        "players[2].ticket_hash",
    ),
    "payout hash twice": (
        lambda p: with_player(p, 1, payout_hash=p.players[0].payout_hash),
        "players[1].payout_hash",
    ),
    "payout hash is a later ticket hash": (
        lambda p: with_player(p, 0, payout_hash=p.players[2].ticket_hash),
        "players[0].payout_hash",
    ),
    "short hash": (lambda p: with_player(p, 0, ticket_hash=bytes(31)), "players[0].ticket_hash"),
    "player key twice": (lambda p: with_player(p, 1, public_key=p.players[0].public_key), "players[1].pubkey"),
    "market maker plays": (lambda p: with_player(p, 1, public_key=p.market_maker), "players[1].pubkey"),
    "key off the curve": (lambda p: replace(p, market_maker=b"\x02" + b"\xff" * 32), "market_maker.pubkey"),
    "key at infinity": (lambda p: with_player(p, 0, public_key=bytes(33)), "players[0].pubkey"),
    "point at infinity": (
        lambda p: with_points(p, [*p.event.locking_points[:-1], bytes(33)]),
        "event.locking_points[5]",
    ),
    "unknown outcome": (lambda p: with_payouts(p, att6={0: 1}), "outcome_payouts.att6"),
    "negative outcome": (lambda p: replace(p, outcome_payouts={Outcome(-2): {0: 1}}), "outcome_payouts.att-2"),
    "expiry paid without one": (
        lambda p: replace(p, event=replace(p.event, expiry=None)),
        "outcome_payouts.exp",
    ),
    "nobody paid": (lambda p: with_payouts(p, att3={}), "outcome_payouts.att3"),
    "weight 0": (lambda p: with_payouts(p, att3={0: 5, 1: 0}), "outcome_payouts.att3.1"),
    "stranger paid": (lambda p: with_payouts(p, exp={3: 1}), "outcome_payouts.exp.3"),
    "negative player": (lambda p: with_payouts(p, exp={-1: 1}), "outcome_payouts.exp.-1"),
    "sum of weights overflows": (lambda p: with_payouts(p, att0={0: U64, 1: 1}), "outcome_payouts.att0"),
    "value times weights overflows": (
        lambda p: with_payouts(p, att0={0: U64 // 1_000_000, 1: 1}),
        "outcome_payouts.att0",
    ),
    "fee rate 0": (lambda p: replace(p, fee_rate=0), "fee_rate"),
    "delta 0": (lambda p: replace(p, relative_locktime_block_delta=0), "relative_locktime_block_delta"),
    "delta 32768": (lambda p: replace(p, relative_locktime_block_delta=32768), "relative_locktime_block_delta"),
    "expiry 0": (lambda p: replace(p, event=replace(p.event, expiry=0)), "event.expiry"),
    "expiry beyond 32 bits": (lambda p: replace(p, event=replace(p.event, expiry=1 << 32)), "event.expiry"),
    "no value": (lambda p: replace(p, funding_value=0), "funding_value"),
    "more than all bitcoin": (lambda p: replace(p, funding_value=21 * 10**14 + 1), "funding_value"),
    "anchor below dust": (lambda p: replace(p, anchor=239), "anchor.value"),
}

OWN_RULES = {
    "locking point twice": (
        lambda p: with_points(p, [*p.event.locking_points[:-1], p.event.locking_points[0]]),
        "event.locking_points[5]",
    ),
    "outcome not paid": (
        lambda p: replace(p, outcome_payouts={o: w for o, w in p.outcome_payouts.items() if o != 4}),
        "outcome_payouts.att4",
    ),
    "expiry not paid": (
        lambda p: replace(p, outcome_payouts={o: w for o, w in p.outcome_payouts.items() if o != EXPIRY}),
        "outcome_payouts.exp",
    ),
    "anchor above 1,000": (lambda p: replace(p, anchor=1_001), "anchor.value"),
    "unbound ranking": (lambda p: replace(p, outcome_bound_splits=False), "outcome_payouts.att2"),
}


@pytest.mark.parametrize("name", STORED_RULES)
@pytest.mark.parametrize("foreign", [False, True])
def test_rules_for_every_contract_name_the_field(parameters, name, foreign):
    change, field = STORED_RULES[name]
    assert refusal(change(parameters), foreign=foreign).field == field


@pytest.mark.parametrize("name", OWN_RULES)
def test_rules_for_contracts_made_here(parameters, name):
    change, field = OWN_RULES[name]
    changed = change(parameters)
    error = refusal(changed)
    assert error.field == field
    assert isinstance(error, Refused)
    validate(changed, foreign=True)


@pytest.mark.parametrize(
    ("change", "value"),
    [("relative_locktime_block_delta", 32767), ("anchor", 240), ("anchor", 1_000), ("anchor", None)],
)
def test_limits_are_inclusive(parameters, change, value):
    assert accepts(replace(parameters, **{change: value}))


def test_large_weights_that_fit(parameters):
    assert accepts(with_payouts(replace(parameters, funding_value=100_000), att0={0: 1 << 40, 1: 1 << 40}))


def test_unbound_splits_need_equal_weights_for_equal_winners(parameters):
    unbound = replace(parameters, outcome_bound_splits=False)
    with pytest.raises(UnboundSharedWinners):
        validate(unbound)
    alike = {o: dict.fromkeys(w, 1) for o, w in unbound.outcome_payouts.items()}
    validate(replace(unbound, outcome_payouts=alike))


def test_unbound_splits_may_share_winners_with_the_expiry(helpers):
    single = helpers.make_parameters(3, 1, outcome_bound_splits=False)
    assert accepts(with_payouts(single, att0={0: 3, 1: 2, 2: 1}))


def test_negated_keys_are_other_keys(parameters):
    key = parameters.players[0].public_key
    assert accepts(with_player(parameters, 1, public_key=bytes((key[0] ^ 1,)) + key[1:]))


def test_build_validates(parameters, helpers):
    with pytest.raises(UnboundSharedWinners):
        Contract.build(replace(parameters, outcome_bound_splits=False), helpers.outpoint)
    with pytest.raises(InvalidInput, match="fee_rate"):
        Contract.build(replace(parameters, fee_rate=0), helpers.outpoint, foreign=True)


def test_values_that_fees_use_up(parameters, helpers):
    # Outcome fee 1,240 and anchor 240 leave 330: dust by one satoshi.
    with pytest.raises(InsufficientFunds) as caught:
        Contract.build(replace(parameters, funding_value=1_240 + 240 + 330), helpers.outpoint)
    assert caught.value.what == "the outcome output"
    with pytest.raises(InsufficientFunds) as caught:
        Contract.build(replace(parameters, funding_value=1_240 + 240 + 331), helpers.outpoint)
    assert caught.value.what == "the split output of player 0"


def test_one_weight_too_small_is_named(parameters, helpers):
    with pytest.raises(InsufficientFunds, match="player 1"):
        Contract.build(with_payouts(parameters, att3={0: 1_000_000, 1: 1}), helpers.outpoint)


def test_anything_but_integers_is_refused(parameters):
    for payouts in ({"att0": {0: 1}}, {Outcome(0): {0: 1.5}}, {Outcome(0): {True: 1}}):
        with pytest.raises(InvalidInput, match="outcome_payouts"):
            replace(parameters, outcome_payouts=payouts)


def test_parameters_are_copied_and_read_only(parameters):
    payouts = {Outcome(1): {2: 1, 0: 1}, Outcome(0): {0: 1}}
    changed = replace(parameters, outcome_payouts=payouts)
    payouts[Outcome(0)][0] = 7
    assert list(changed.outcome_payouts) == [0, 1]
    assert changed.winners(Outcome(1)) == (0, 2)
    assert changed.outcome_payouts[Outcome(0)][0] == 1
    with pytest.raises(TypeError):
        changed.outcome_payouts[Outcome(0)] = {}
    with pytest.raises(InvalidInput, match="outcome"):
        changed.winners(Outcome(2))


def test_order_of_outcomes_is_numeric_with_expiry_last(helpers):
    parameters = helpers.make_parameters(11, 1)
    assert parameters.outcomes == (*range(11), EXPIRY)


def test_generator_is_no_special_key(parameters):
    assert accepts(replace(parameters, market_maker=generator_mul((1).to_bytes(32, "big"))))
