import json
from pathlib import Path

import pytest

from coordinator_core.competition.terms import Terms, decode_terms, terms_hash
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.secp256k1 import sha256


def test_the_hash_is_a_tagged_hash_of_sorted_json_without_white_space(terms_document, terms):
    plain = json.dumps(terms_document(), sort_keys=True, separators=(",", ":")).encode()
    tag = sha256(b"coordinator/terms/v1")
    assert terms.to_bytes() == plain
    assert terms.hash == sha256(tag + tag + plain) == terms_hash(plain)


def test_the_hash_of_the_vector(terms):
    vector = json.loads((Path(__file__).parents[3] / "vectors" / "terms.json").read_text())
    assert terms.hash.hex() == vector["hash"]


def test_round_trip(terms, raw_terms):
    assert decode_terms(raw_terms) == terms


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b'"approvals":true', b'"approvals":true,"approvals":true'),
        lambda raw: raw.replace(b'"approvals":true,', b"", 1)[:-1] + b',"approvals":true}',
        lambda raw: raw.replace(b'"01926f3a-0000-7000-8000-000000000064"', b'"01926f3a00007000800000000000000064"'),
        lambda raw: raw.replace(b'"version":1', b'"version":1.0'),
        lambda raw: raw.replace(b'"approvals":true', b'"approvals":1'),
        lambda raw: raw.replace(b'"mode":"hold"', b'"mode":"hold","more":1'),
        lambda raw: raw.replace(b"Rain in Kord", b"\xff\xfe"),
        lambda raw: b"[" * 100_000,
        lambda raw: b"",
        lambda raw: b"null",
        lambda raw: raw + b" " * 300_000,
    ],
)
def test_anything_but_the_canonical_bytes_is_refused(raw_terms, spoil):
    spoiled = spoil(raw_terms)
    assert spoiled != raw_terms
    with pytest.raises(InvalidInput):
        decode_terms(spoiled)


def uuid(number, version=7):
    return f"01926f3a-0000-{version}000-8000-{number:012x}"


def one_metric(rule, tolerance):
    metric = {"id": "a", "rule": rule, "tolerance": tolerance}
    return {"observation.metrics": [metric], "observation.values_per_entry": 1}


NINE = [uuid(i) for i in range(9)]
NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mode": "escrow"}, "terms.mode"),
        ({"approvals": False}, "terms.approvals"),
        ({"title": " x"}, "terms.title"),
        ({"title": "a\nb"}, "terms.title"),
        ({"competition_id": uuid(1, 4)}, "terms.competition_id"),
        ({"entries.minimum": 2}, "terms.money.weights"),
        ({"entries.minimum": 6}, "terms.entries.minimum"),
        ({"entries.maximum": 26}, "terms.entries.maximum"),
        ({"money.weights": [40, 60]}, "terms.money.weights"),
        ({"money.weights": []}, "terms.money.weights"),
        ({"money.weights": [1, 0]}, "terms.money.weights[1]"),
        ({"money.entry_fee": 0}, "terms.money.entry_fee"),
        ({"money.entry_fee": 2_100_000_000_000_001}, "terms.money.entry_fee"),
        ({"money.entry_fee": True}, "terms.money.entry_fee"),
        ({"money.coordinator_fee_bps": 5_001}, "terms.money.coordinator_fee_bps"),
        ({"oracle.public_key": "02" + "00" * 32}, "terms.oracle.public_key"),
        ({"oracle.public_key": "02" + "AB" * 32}, "terms.oracle.public_key"),
        ({"coordinator_key": "00" * 32}, "terms.coordinator_key"),
        ({"oracle.event_ids": NINE[:8]}, "terms.oracle.event_ids"),
        ({"oracle.event_ids": [*NINE[:8], NINE[0]]}, "terms.oracle.event_ids"),
        ({"oracle.event_ids": [*NINE[:8], uuid(8, 4)]}, "terms.oracle.event_ids[8]"),
        ({"oracle.url": "ftp://x"}, "terms.oracle.url"),
        ({"schedule.entries_close": NOW + 61_201}, "terms.schedule.entries_close"),
        ({"observation.window.end": NOW + 86_400}, "terms.observation.window.end"),
        ({"observation.signing_date": NOW + 2 * 86_400 - 1}, "terms.observation.signing_date"),
        ({"contract.expiry": NOW + 4 * 86_400 + 3_599}, "terms.contract.expiry"),
        ({"contract.expiry": 1 << 32}, "terms.contract.expiry"),
        ({"observation.window.end": NOW + 86_400 + 43_200}, "terms.observation.window"),
        ({"observation.targets": ["KORD", "KORD"]}, "terms.observation.targets"),
        ({"observation.targets": ["KO RD"]}, "terms.observation.targets[0]"),
        ({"observation.values_per_entry": 5}, "terms.observation.values_per_entry"),
        (
            {"observation.metrics": [{"id": "a", "rule": "within", "tolerance": None}] * 2},
            "terms.observation.metrics",
        ),
        (one_metric("exact", "1.0"), "terms.observation.metrics[0].tolerance"),
        (one_metric("within", "0.10"), "terms.observation.metrics[0].tolerance"),
        (one_metric("within", "0.0"), "terms.observation.metrics[0].tolerance"),
        ({"contract.anchor": 330}, "terms.contract.anchor"),
        ({"contract.delta": 143}, "terms.contract.delta"),
        ({"contract.delta": 1_009}, "terms.contract.delta"),
        ({"contract.outcome_bound_splits": False}, "terms.contract.outcome_bound_splits"),
        ({"contract.required_confirmations": 3}, "terms.contract.required_confirmations"),
        ({"network": "testnet3"}, "terms.network"),
    ],
)  # fmt: skip
def test_each_rule_names_its_field(make_terms, changes, field):
    with pytest.raises(InvalidInput) as caught:
        make_terms(changes)
    assert caught.value.field == field
    assert caught.value.reason


def test_limits_are_taken(make_terms):
    assert make_terms({"schedule.entries_close": NOW + 61_200}).schedule.entries_close == NOW + 61_200
    assert make_terms({"contract.delta": 1_008}).contract.delta == 1_008
    assert make_terms({"money.weights": [1], "entries.minimum": 2}).entries.minimum == 2


MAINNET = {
    "network": "mainnet",
    "contract.required_confirmations": 3,
    "contract.delta": 200,
    "oracle.url": "https://oracle.example",
    "keymeld.gateway": "https://keymeld.example",
    "keymeld.pcrs": [{"index": 0, "value": "ab" * 48}],
}


def test_mainnet_terms(make_terms):
    assert make_terms(MAINNET).network == "mainnet"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"contract.required_confirmations": 1}, "terms.contract.required_confirmations"),
        ({"contract.delta": 199}, "terms.contract.delta"),
        ({"oracle.url": "http://oracle.example"}, "terms.oracle.url"),
        ({"keymeld.gateway": "http://keymeld.example"}, "terms.keymeld.gateway"),
        ({"keymeld.pcrs": []}, "terms.keymeld.pcrs"),
        ({"schedule.closing.sealing": 20}, "terms.schedule.closing"),
        ({"schedule.closing.kickoff_grace": 60}, "terms.schedule.closing"),
    ],
)
def test_mainnet_asks_for_more(make_terms, change, field):
    with pytest.raises(Refused) as caught:
        make_terms(MAINNET | change)
    assert caught.value.field == field


def line(target, metric, lower="-2.5", upper="1.0", hours=24):
    return {"target": target, "metric": metric, "lower": lower, "upper": upper, "window_hours": hours}


LINES = [line("KORD", "rain_amt"), line("KORD", "temp_high"), line("KSAW", "rain_amt"), line("KSAW", "temp_high")]


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        (LINES[::-1], "terms.scoring.lines"),
        (LINES[:3], "terms.scoring.lines"),
        ([*LINES, LINES[3]], "terms.scoring.lines"),
        ([line("KORD", "rain_amt", upper="-2.5"), *LINES[1:]], "terms.scoring.lines[0].upper"),
        ([line("KORD", "rain_amt", lower="-2.50"), *LINES[1:]], "terms.scoring.lines[0].lower"),
        ([line("KORD", "rain_amt", hours=12), *LINES[1:]], "terms.scoring.lines[0].window_hours"),
    ],
)
def test_lines_are_complete_and_canonical(make_terms, lines, field):
    with pytest.raises(InvalidInput) as caught:
        make_terms({"scoring": {"rules": "lines", "lines": lines}})
    assert caught.value.field == field


def test_fixed_scoring_has_no_lines(make_terms):
    with pytest.raises(InvalidInput, match="fixed scoring has no lines"):
        make_terms({"scoring.lines": LINES})


@pytest.mark.parametrize(
    ("start", "metrics", "taken"),
    [
        (1_790_035_200, ["temp_high", "wind_speed"], True),  # 00:00:00 UTC
        (1_790_078_400, ["temp_high", "wind_speed"], True),  # 12:00:00 UTC
        (1_790_078_400, ["temp_low"], False),
        (1_790_078_400, ["humidity"], False),
        (1_790_078_401, ["wind_speed"], False),
    ],
)
def test_half_days_of_the_weather_source(make_terms, start, metrics, taken):
    start += 86_400
    midnight = start % 86_400 == 0
    if midnight and taken:
        metrics = ["wind_speed", "temp_low"]
    changes = {
        "observation.window": {"start": start, "end": start + 43_200},
        "observation.signing_date": start + 50_000,
        "contract.expiry": start + 50_000 + 172_800,
        "observation.metrics": [{"id": m, "rule": "exact", "tolerance": None} for m in metrics],
        "observation.values_per_entry": 1,
    }
    if taken:
        assert isinstance(make_terms(changes), Terms)
    else:
        with pytest.raises(InvalidInput, match=r"half day"):
            make_terms(changes)


def test_events_of_the_attempts(make_terms):
    fixed = make_terms()
    assert fixed.event(1, 4).lines_from_event is None
    lines = make_terms({"scoring": {"rules": "lines", "lines": LINES}})
    reference, first = lines.event(0, 5), lines.event(1, 4)
    assert (reference.unlisted, reference.lines_from_event) == (True, None)
    assert (first.unlisted, first.lines_from_event) == (False, reference.id)
    assert [lines.event(i, 4).id for i in range(9)] == list(lines.oracle.event_ids)
    assert (first.total_allowed_entries, first.places, first.metrics) == (4, 2, ("temp_high", "rain_amt"))
    with pytest.raises(InvalidInput):
        lines.event(9, 4)
