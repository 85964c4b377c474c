import json

import pytest

from coordinator_core.dlc import (
    EXPIRY,
    SignedContract,
    WinCondition,
    parameters_from_json,
    parameters_to_json,
    signatures_from_json,
)
from coordinator_core.dlc.outcomes import label, parse_outcome, parse_win_condition
from coordinator_core.dlc.serialization import signed_contract_parts
from coordinator_core.errors import InvalidInput


@pytest.fixture
def value(plain):
    return json.loads(plain.data["params_json_string"])


def refused_field(document) -> str:
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    with pytest.raises(InvalidInput) as caught:
        parameters_from_json(text)
    return caught.value.field


def test_options_end_the_object_and_are_left_out_when_off(helpers):
    on = parameters_to_json(helpers.make_parameters())
    assert on.endswith('"relative_locktime_block_delta":144,"anchor":{"value":240},"outcome_bound_splits":true}')
    off = parameters_to_json(helpers.make_parameters(anchor=None, outcome_bound_splits=False))
    assert off.endswith('"relative_locktime_block_delta":144}')


def test_null_options_as_dlctix_reads_them(value):
    plain = parameters_from_json(json.dumps(value))
    assert parameters_from_json(json.dumps(value | {"anchor": None, "outcome_bound_splits": False})) == plain
    assert refused_field(value | {"anchor": 240}) == "anchor"
    assert refused_field(value | {"anchor": {}}) == "anchor.value"
    assert refused_field(value | {"outcome_bound_splits": None}) == "outcome_bound_splits"


def test_fields_may_come_in_any_order_and_case_of_hex(value):
    plain = parameters_from_json(json.dumps(value))
    assert parameters_from_json(json.dumps(dict(reversed(value.items())))) == plain
    value["market_maker"]["pubkey"] = value["market_maker"]["pubkey"].upper()
    assert parameters_from_json(json.dumps(value)) == plain


def test_an_expiry_may_be_missing_or_null(value):
    del value["event"]["expiry"]
    assert parameters_from_json(json.dumps(value)).event.expiry is None


@pytest.mark.parametrize(
    ("path", "bad", "field"),
    [
        (["market_maker"], None, "market_maker"),
        (["market_maker", "pubkey"], "04" * 33, ""),
        (["market_maker", "pubkey"], "02" * 65, "market_maker.pubkey"),
        (["players"], {}, "players"),
        (["players", 1], [], "players[1]"),
        (["players", 1, "ticket_hash"], "00" * 31, "players[1].ticket_hash"),
        (["players", 1, "ticket_hash"], 7, "players[1].ticket_hash"),
        (["players", 1, "colour"], "red", "players[1].colour"),
        (["event", "locking_points", 2], "", "event.locking_points[2]"),
        (["event", "expiry"], -1, "event.expiry"),
        (["event", "expiry"], 1 << 32, "event.expiry"),
        (["event", "expiry"], 900000.0, "event.expiry"),
        (["outcome_payouts"], [], "outcome_payouts"),
        (["outcome_payouts", "att+1"], {"0": 1}, "outcome_payouts"),
        (["outcome_payouts", "att007"], {"0": 1}, "outcome_payouts"),
        (["outcome_payouts", "ATT1"], {"0": 1}, "outcome_payouts"),
        (["outcome_payouts", "att١"], {"0": 1}, "outcome_payouts"),
        (["outcome_payouts", "att2147483648"], {"0": 1}, "outcome_payouts"),
        (["outcome_payouts", "att0"], None, "outcome_payouts.att0"),
        (["outcome_payouts", "att0"], {"00": 1}, "outcome_payouts.att0"),
        (["outcome_payouts", "att0"], {"-1": 1}, "outcome_payouts.att0"),
        (["outcome_payouts", "att0"], {"²": 1}, "outcome_payouts.att0"),
        (["outcome_payouts", "att0"], {"0": "1"}, "outcome_payouts.att0.0"),
        (["outcome_payouts", "att0"], {"0": 1 << 64}, "outcome_payouts.att0.0"),
        (["fee_rate"], True, "fee_rate"),
        (["fee_rate"], 1 << 64, "fee_rate"),
        (["funding_value"], 1.5, "funding_value"),
        (["funding_value"], -1, "funding_value"),
        (["relative_locktime_block_delta"], 65536, "relative_locktime_block_delta"),
        (["outcome_bound_splits"], 1, "outcome_bound_splits"),
    ],
)
def test_hostile_fields_are_named(value, path, bad, field):
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = bad
    if field:
        assert refused_field(value) == field
    else:
        # The shape is right, the curve is not looked at yet.
        parameters_from_json(json.dumps(value))


@pytest.mark.parametrize("name", ["market_maker", "players", "event", "outcome_payouts", "fee_rate"])
def test_missing_fields_are_named(value, name):
    del value[name]
    assert refused_field(value) == name


@pytest.mark.parametrize(
    "document",
    [b"\xff", b"\x00", "[" * 100_000, "1" * 5_000, "NaN", '{"fee_rate":Infinity}', '{"fee_rate":1,"fee_rate":1}', '"'],
)
def test_documents_that_are_no_json(document):
    assert refused_field(document)


def test_repeated_fields_are_refused_at_any_depth(plain):
    text = plain.data["params_json_string"].replace('"att0":{"0":1}', '"att0":{"0":1,"0":2}')
    assert refused_field(text) == "0"


def test_strange_names_are_shown_harmlessly(value):
    assert refused_field(value | {"\ud800\n": 1}) == r"\ud800" + "\n"


def test_labels():
    assert [label(s) for s in (EXPIRY, parse_outcome("att10", "f"), WinCondition(EXPIRY, 2))] == [
        "exp",
        "att10",
        "exp:p2",
    ]
    assert parse_win_condition("att3:p1", "f") == (3, 1)
    for bad in ("att3", "att3:", "att3:p", "att3:p01", "att3:p1:p2", "att3:q1", ":p1", "att3:p1 "):
        with pytest.raises(InvalidInput):
            parse_win_condition(bad, "f")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expiry_tx_signature": "00" * 63}, "expiry_tx_signature"),
        ({"outcome_tx_signatures": {"0": "00" * 64}}, "outcome_tx_signatures.0"),
        ({"outcome_tx_signatures": {"-1": "00" * 65}}, "outcome_tx_signatures"),
        ({"split_tx_signatures": {"att0:p0": "00" * 65}}, "split_tx_signatures.att0:p0"),
        ({"split_tx_signatures": {"att0": "00" * 64}}, "split_tx_signatures"),
        ({"split_tx_signatures": []}, "split_tx_signatures"),
        ({"signatures": {}}, "signatures"),
    ],
)
def test_hostile_signatures_are_named(plain, change, field):
    with pytest.raises(InvalidInput) as caught:
        signatures_from_json(json.dumps(plain.data["signatures"] | change))
    assert caught.value.field == field


def test_signatures_without_expiry(plain):
    data = {**plain.data["signatures"], "expiry_tx_signature": None}
    assert EXPIRY not in signatures_from_json(json.dumps(data)).by_outcome


def test_signed_contract_paths_lead_to_the_field(plain):
    document = json.loads(SignedContract(plain.contract, plain.signatures).to_json())
    document["dlc"]["params"]["fee_rate"] = None
    with pytest.raises(InvalidInput) as caught:
        signed_contract_parts(json.dumps(document))
    assert caught.value.field == "dlc.params.fee_rate"
    document["dlc"] = {"params": document["dlc"]["params"]}
    with pytest.raises(InvalidInput, match=r"dlc\.funding_outpoint"):
        signed_contract_parts(json.dumps(document))
