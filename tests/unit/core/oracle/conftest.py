"""The oracle's own example of a signed statement (section 6), signed here by a key of the tests."""

import json
from typing import Any

import pytest

from coordinator_core.secp256k1 import G, SecretKey, generator_mul

ORACLE = SecretKey.from_bytes(bytes([5]) * 32)
START = 1_790_000_000


def example_id(number: int) -> str:
    return f"01926f3a-0000-7000-8000-{number:012x}"


@pytest.fixture
def oracle_key() -> SecretKey:
    return ORACLE


@pytest.fixture
def example() -> dict[str, Any]:
    return {
        "event_id": example_id(0xAA),
        "signing_date": START + 172_800,
        "expiry": START + 259_200,
        "nonce_point": generator_mul((2).to_bytes(32, "big")).hex(),
        "outcomes": {
            "kind": "ranking",
            "number_of_places_win": 1,
            "entry_ids": [example_id(1), example_id(2), example_id(3)],
        },
        "terms": {
            "kind": "observation",
            "source": "noaa_weather",
            "start_observation_date": START,
            "end_observation_date": START + 86_400,
            "targets": ["KORD", "KSAW"],
            "scoring_fields": ["temp_high", "temp_low", "wind_speed"],
            "number_of_values_per_entry": 3,
            "scoring_rules": "lines",
            "lines": [
                {"target": "KORD", "metric": "temp_high", "lower": -2.5, "upper": -0.5, "window_hours": 24},
                {"target": "KSAW", "metric": "wind_speed", "lower": 1.5, "upper": 4.5, "window_hours": 24},
            ],
        },
    }


def stated_terms() -> dict[str, Any]:
    """Terms that the example would belong to, but for its lines: the example has two of six."""
    metrics = ["temp_high", "temp_low", "wind_speed"]
    return {
        "version": 1,
        "competition_id": example_id(0x100),
        "title": "Example",
        "network": "regtest",
        "coordinator_key": G[1:].hex(),
        "oracle": {
            "public_key": ORACLE.public_key.hex(),
            "url": "http://127.0.0.1:9800",
            "event_ids": [example_id(0xA9), example_id(0xAA), *(example_id(0xB0 + i) for i in range(7))],
        },
        "observation": {
            "source": {"id": "noaa_weather", "type": "weather"},
            "window": {"start": START, "end": START + 86_400},
            "signing_date": START + 172_800,
            "targets": ["KORD", "KSAW"],
            "metrics": [{"id": m, "rule": "exact", "tolerance": None} for m in metrics],
            "values_per_entry": 3,
        },
        "scoring": {
            "rules": "lines",
            "lines": [
                {"target": t, "metric": m, "lower": "-2.5", "upper": "-0.5", "window_hours": 24}
                for t in ("KORD", "KSAW")
                for m in metrics
            ],
        },
        "entries": {"minimum": 2, "maximum": 5},
        "money": {
            "entry_fee": 50_000,
            "coordinator_fee_bps": 300,
            "network_fee_margin_bps": 0,
            "routing_allowance_base": 0,
            "routing_allowance_ppm": 0,
            "weights": [1],
        },
        "contract": {
            "delta": 144,
            "fee_rate_ceiling": 12_500,
            "anchor": 240,
            "outcome_bound_splits": False,
            "required_confirmations": 1,
            "expiry": START + 345_600,
        },
        "schedule": {
            "entries_close": START - 86_400,
            "closing": {"sealing": 20, "entries": 20, "approvals": 20, "signatures": 20, "kickoff_grace": 60},
            "funding_deadline": 900_000,
        },
        "keymeld": {"gateway": "http://127.0.0.1:8090", "pcrs": []},
        "mode": "hold",
        "approvals": True,
    }


@pytest.fixture
def terms_json() -> bytes:
    return json.dumps(stated_terms(), sort_keys=True, separators=(",", ":")).encode()
