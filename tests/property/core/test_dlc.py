"""Invariants of contracts for any valid parameters, and typed errors for any document."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractParameters,
    EventLockingConditions,
    InsufficientFunds,
    Outcome,
    Player,
    SignedContract,
    WinCondition,
    assemble,
    parameters_from_json,
    parameters_to_json,
    prune,
    signatures_from_json,
    signatures_to_json,
    validate,
    verify_for_player,
    verify_signatures,
)
from coordinator_core.dlc.relay import check_relay, least_fee_rate
from coordinator_core.dlc.serialization import signed_contract_parts
from coordinator_core.dlc.split import split_weight
from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.transaction import OutPoint, Transaction, fee_for_weight
from coordinator_core.units import Blocks, FeeRate, Sats
from tests.support.examples import sweep

MAX_PLAYERS = 6
SECRETS = [hashlib.sha256(bytes((i,))).digest() for i in range(40)]
POINTS = [generator_mul(secret) for secret in SECRETS]
PLAYERS = tuple(
    Player(POINTS[i + 1], hashlib.sha256(b"t" + bytes((i,))).digest(), hashlib.sha256(b"p" + bytes((i,))).digest())
    for i in range(MAX_PLAYERS)
)
OUTPOINT = OutPoint(b"\x5a" * 32, 1)
in_process = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def contracts(draw: st.DrawFn) -> ContractParameters:
    count = draw(st.integers(1, MAX_PLAYERS))
    weights = st.dictionaries(st.integers(0, count - 1), st.integers(1, 1_000), min_size=1)
    attested = draw(st.lists(weights, min_size=0, max_size=20))
    expiry = draw(st.one_of(st.none(), st.integers(1, 0xFFFFFFFF)))
    payouts = {Outcome(i): w for i, w in enumerate(attested)}
    if expiry is not None:
        payouts[EXPIRY] = draw(weights)
    assume(payouts)
    return ContractParameters(
        market_maker=POINTS[0],
        players=PLAYERS[:count],
        event=EventLockingConditions(tuple(POINTS[10 : 10 + len(attested)]), expiry),
        outcome_payouts=payouts,
        fee_rate=FeeRate(draw(st.integers(1, 50_000))),
        funding_value=Sats(draw(st.integers(1_000_000, 10**12))),
        relative_locktime_block_delta=Blocks(draw(st.integers(1, 32_767))),
        anchor=draw(st.one_of(st.none(), st.integers(240, 1_000).map(Sats))),
        outcome_bound_splits=True,
    )


def build(parameters: ContractParameters) -> Contract:
    try:
        return Contract.build(parameters, OUTPOINT)
    except InsufficientFunds:
        assume(False)
        raise


@in_process
@given(contracts())
def test_value_is_conserved_and_fees_reach_the_rate(parameters):
    contract = build(parameters)
    rate, anchor = parameters.fee_rate, parameters.anchor or 0
    for outcome in contract.outcomes:
        transaction, split = contract.outcome_transaction(outcome), contract.split_transaction(outcome)
        weight = transaction.with_witness(0, (bytes(64),)).weight
        paid = parameters.funding_value - sum(o.value for o in transaction.outputs)
        assert paid == fee_for_weight(rate, weight)

        winners = contract.record(outcome).winners
        leaf = len(contract.split_script(WinCondition(outcome, winners[0])))
        wanted = fee_for_weight(rate, split_weight(parameters, len(winners), leaf))
        fee = contract.split_fee(outcome)
        assert fee == transaction.outputs[0].value - sum(o.value for o in split.outputs)
        # The fee is divided among the winners, and their shares of the value are rounded down.
        assert wanted - len(winners) < fee <= wanted + len(winners)
        assert [o.value > 330 for o in split.outputs[: len(winners)]] == [True] * len(winners)
        assert len(split.outputs) == len(winners) + (1 if anchor else 0)


@in_process
@given(contracts())
def test_shares_follow_the_weights(parameters):
    contract = build(parameters)
    for outcome, weights in parameters.outcome_payouts.items():
        outputs = contract.split_transaction(outcome).outputs
        total, available = sum(weights.values()), contract.outcome_output(outcome).value - (parameters.anchor or 0)
        deductions = {available * w // total - o.value for w, o in zip(weights.values(), outputs, strict=False)}
        assert len(deductions) == 1


@in_process
@given(contracts())
def test_predicted_split_weight_is_never_exceeded(parameters):
    contract = build(parameters)
    for win in parameters.win_conditions():
        script = contract.split_script(win)
        output = contract.outcome_taproot(win.outcome)
        control = output.control_block(tap_leaf_hash(script))
        signed = contract.split_transaction(win.outcome).with_witness(0, (bytes(64), bytes(32), script, control))
        predicted = split_weight(parameters, len(contract.record(win.outcome).winners), len(script))
        assert predicted - 32 <= signed.weight <= predicted


def tap_leaf_hash(script: bytes) -> bytes:
    tag = hashlib.sha256(b"TapLeaf").digest()
    return hashlib.sha256(tag + tag + b"\xc0" + bytes((len(script),)) + script).digest()


@in_process
@given(contracts())
def test_json_round_trip_and_validity(parameters):
    validate(parameters)
    text = parameters_to_json(parameters)
    assert parameters_from_json(text) == parameters
    assert parameters_to_json(parameters_from_json(text)) == text


@in_process
@given(contracts())
def test_ids_are_unique_and_depend_on_the_outpoint(parameters):
    contract = build(parameters)
    ids = [r for o in contract.outcomes for r in (contract.outcome_txid(o), contract.split_txid(o))]
    assert len(set(ids)) == len(ids)
    other = Contract.build(parameters, replace(OUTPOINT, vout=0))
    assert not {other.outcome_txid(o) for o in other.outcomes}.intersection(ids)


@settings(parent=in_process, max_examples=15)
@given(contracts(), st.randoms(use_true_random=False))
def test_signed_contracts_verify_until_one_bit_changes(parameters, random):
    contract = build(parameters)
    keys = [SecretKey.from_bytes(secret) for secret in SECRETS[: len(parameters.players) + 1]]
    signatures = assemble(contract, SoloSigner(keys).sign(contract.signing_items()))
    verify_signatures(contract, signatures)
    for player in range(len(parameters.players)):
        verify_for_player(contract, prune(contract, signatures, player), player)
    assert signatures_from_json(signatures_to_json(signatures)) == signatures

    document = json.loads(SignedContract(contract, signatures).to_json())
    place = document["signatures"]["split_tx_signatures"]
    name = random.choice(sorted(place))
    position = random.randrange(128)
    digit = f"{int(place[name][position], 16) ^ (1 << random.randrange(4)):x}"
    place[name] = place[name][:position] + digit + place[name][position + 1 :]
    read = SignedContract.from_json(json.dumps(document))
    with pytest.raises(VerificationFailed, match=name):
        verify_signatures(read.contract, read.signatures)


@in_process
@given(contracts(), st.integers(1, 20_000))
def test_the_least_rate_keeps_every_split_relayable(parameters, floor):
    contract = build(replace(parameters, fee_rate=least_fee_rate(FeeRate(floor))))
    check_relay(contract, FeeRate(floor))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("02" * 33)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
SAMPLE = parameters_to_json(
    ContractParameters(
        POINTS[0],
        PLAYERS[:2],
        EventLockingConditions((POINTS[10], POINTS[11]), 900_000),
        {Outcome(0): {0: 1}, Outcome(1): {1: 1}, EXPIRY: {0: 1, 1: 1}},
        FeeRate(2_500),
        Sats(100_000),
        Blocks(144),
        Sats(240),
        True,
    )
)


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


@settings(parent=in_process, max_examples=sweep(400))
@given(st.sampled_from(list(_places(json.loads(SAMPLE)))), VALUES, st.booleans())
def test_hostile_parameters_raise_invalid_input_only(path, bad, allow_foreign):
    document = json.loads(SAMPLE)
    if path:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = bad
    else:
        document = bad
    try:
        contract = Contract.build(parameters_from_json(json.dumps(document)), OUTPOINT, foreign=allow_foreign)
    except InvalidInput:
        return
    assert contract.outcomes


@settings(parent=in_process, max_examples=sweep(200))
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60), VALUES.map(json.dumps)))
def test_hostile_documents_raise_invalid_input_only(document):
    for read in (parameters_from_json, signatures_from_json, signed_contract_parts, SignedContract.from_json):
        with pytest.raises(InvalidInput):
            read(document)


@settings(parent=in_process, max_examples=sweep(300))
@given(st.data())
def test_hostile_transactions_raise_invalid_input_only(data):
    contract = Contract.build(parameters_from_json(SAMPLE), OUTPOINT)
    raw = bytearray(contract.split_transaction(EXPIRY).with_witness(0, (bytes(64), b"\x01")).serialize())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(raw) - 1))
        raw[position] = data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw)
    try:
        transaction = Transaction.parse(raw)
    except InvalidInput:
        return
    assert transaction.serialize() == raw
