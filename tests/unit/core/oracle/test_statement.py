import copy
import json
from uuid import UUID

import pytest

from coordinator_core.competition.terms import decode_terms
from coordinator_core.errors import InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.oracle.statement import (
    parse_statement,
    statement_digest,
    statement_message,
    verify_statement,
)
from coordinator_core.secp256k1 import G, SecretKey, schnorr_sign

ROSTER = [UUID(f"01926f3a-0000-7000-8000-{i:012x}") for i in (3, 1, 2)]


def raw(statement, signature="00" * 64):
    return json.dumps({"statement": statement, "signature": signature}).encode()


def test_the_example_of_the_oracle(example):
    statement = parse_statement(raw(example)).statement
    assert len(statement_message(statement)) == 304
    assert statement_digest(statement).hex() == "2b37e13098210b2216a8b101d8a6e16420101c9acb954c1a53d43c0e990303f4"


@pytest.fixture
def full(example):
    """The example with a line for each pair, as the terms have it."""
    example["terms"]["lines"] = [
        {"target": t, "metric": m, "lower": -2.5, "upper": -0.5, "window_hours": 24}
        for t in ("KORD", "KSAW")
        for m in ("temp_high", "temp_low", "wind_speed")
    ]
    return example


@pytest.fixture
def signed(full, oracle_key):
    def sign(statement=full, key=oracle_key):
        digest = statement_digest(parse_statement(raw(statement)).statement)
        return parse_statement(raw(statement, schnorr_sign(digest, key, bytes(32)).hex()))

    return sign


@pytest.fixture
def verify(terms_json, full):
    def run(statement, **change):
        values = {"attempt": 1, "entry_ids": ROSTER, "nonce_point": bytes.fromhex(full["nonce_point"])} | change
        return verify_statement(statement, decode_terms(terms_json), **values)

    return run


def test_a_statement_that_says_what_terms_and_roster_say(signed, verify):
    assert verify(signed()).outcomes.number_of_places_win == 1


def test_another_signer_is_refused(signed, verify):
    with pytest.raises(InvalidSignature):
        verify(signed(key=SecretKey.generate()))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("event_id", str(ROSTER[0]), "statement.event_id"),
        ("signing_date", 1_790_172_801, "statement.signing_date"),
        ("expiry", 1_790_259_201, "statement.expiry"),
        ("nonce_point", G.hex(), "statement.nonce_point"),
        ("outcomes.number_of_places_win", 2, "statement.number_of_places_win"),
        ("outcomes.entry_ids", [str(i) for i in ROSTER], "statement.entry_ids"),
        ("terms.source", "other", "statement.terms.source"),
        ("terms.start_observation_date", 1, "statement.terms.start_observation_date"),
        ("terms.end_observation_date", 1, "statement.terms.end_observation_date"),
        ("terms.targets", ["KSAW", "KORD"], "statement.terms.targets"),
        ("terms.scoring_fields", ["temp_high"], "statement.terms.scoring_fields"),
        ("terms.number_of_values_per_entry", 4, "statement.terms.number_of_values_per_entry"),
        ("terms.scoring_rules", "fixed", "statement.scoring_rules"),
        ("terms.lines", [], "statement.terms.lines"),
    ],
)
def test_a_signed_statement_of_something_else_is_refused(full, signed, verify, path, value, named):
    changed = copy.deepcopy(full)
    *parents, name = path.split(".")
    target = changed
    for parent in parents:
        target = target[parent]
    assert target[name] != value
    target[name] = value
    with pytest.raises(VerificationFailed) as caught:
        verify(signed(changed))
    assert caught.value.what == named


def test_one_unit_in_the_last_place_of_a_line_is_seen(full, signed, verify):
    full["terms"]["lines"][0]["lower"] = -2.5000000000000004
    with pytest.raises(VerificationFailed, match="lines"):
        verify(signed(full))


@pytest.mark.parametrize("change", [{"attempt": 2}, {"entry_ids": ROSTER[:2]}, {"nonce_point": G}])
def test_it_is_bound_to_attempt_roster_and_nonce(signed, verify, change):
    with pytest.raises(VerificationFailed):
        verify(signed(), **change)


def drop(statement):
    del statement["expiry"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s.update(more=1),
        drop,
        lambda s: s["outcomes"].update(kind="enum"),
        lambda s: s["terms"].update(kind="other"),
        lambda s: s["terms"].update(scoring_rules="best"),
        lambda s: s.update(expiry=1 << 32),
        lambda s: s.update(signing_date=1 << 63),
        lambda s: s.update(nonce_point="02" + "00" * 32),
        lambda s: s["terms"].update(targets=["x" * 70_000]),
        lambda s: s["terms"]["lines"][0].update(lower="1"),
        lambda s: s["terms"]["lines"][0].update(more=1),
    ],
)
def test_unknown_or_malformed_statements_are_refused(example, spoil):
    spoil(example)
    with pytest.raises(InvalidInput):
        parse_statement(raw(example))


@pytest.mark.parametrize("bad", [b"", b"null", b'{"statement":{}}', raw({}), b"1e999"])
def test_hostile_json(bad):
    with pytest.raises(InvalidInput):
        parse_statement(bad)


def test_a_number_beyond_doubles_is_refused(example):
    text = raw(example).replace(b'"lower": -2.5', b'"lower": -1e999')
    with pytest.raises(InvalidInput):
        parse_statement(text)


@pytest.mark.parametrize("text", ["0.1", "2.4500000000000028", "-0.30000000000000004", "9007199254740993.0", "5e-324"])
def test_decimals_are_read_to_the_nearest_double(example, text):
    line = parse_statement(raw(example).replace(b'"lower": -2.5', f'"lower": {text}'.encode())).statement.terms.lines[0]
    assert line.lower == float(text)
