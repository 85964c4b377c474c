"""Valid terms, and a way to change any of their members."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.terms import Terms
from coordinator_core.secp256k1 import G

NOW = 1_790_000_000
TIP = 900_000


def uuid7(number: int) -> str:
    return f"01926f3a-0000-7000-8000-{number:012x}"


VALID: dict[str, Any] = {
    "version": 1,
    "competition_id": uuid7(100),
    "title": "Rain in Kord",
    "network": "regtest",
    "coordinator_key": G[1:].hex(),
    "oracle": {
        "public_key": G.hex(),
        "url": "http://127.0.0.1:9800",
        "event_ids": [uuid7(i) for i in range(9)],
    },
    "observation": {
        "source": {"id": "noaa_weather", "type": "weather"},
        "window": {"start": NOW + 86_400, "end": NOW + 2 * 86_400},
        "signing_date": NOW + 2 * 86_400 + 3_600,
        "targets": ["KORD", "KSAW"],
        "metrics": [
            {"id": "temp_high", "rule": "rounded", "tolerance": None},
            {"id": "rain_amt", "rule": "within", "tolerance": "0.1"},
        ],
        "values_per_entry": 3,
    },
    "scoring": {"rules": "fixed", "lines": []},
    "entries": {"minimum": 3, "maximum": 5},
    "money": {
        "entry_fee": 50_000,
        "coordinator_fee_bps": 300,
        "network_fee_margin_bps": 0,
        "routing_allowance_base": 10,
        "routing_allowance_ppm": 5_000,
        "weights": [60, 40],
    },
    "contract": {
        "delta": 144,
        "fee_rate_ceiling": 12_500,
        "anchor": 240,
        "outcome_bound_splits": True,
        "required_confirmations": 1,
        "expiry": NOW + 4 * 86_400 + 3_600,
    },
    "schedule": {
        "entries_close": NOW + 40_000,
        "closing": {
            "sealing": 600,
            "entries": 300,
            "approvals": 600,
            "signatures": 300,
            "kickoff_grace": 3_600,
        },
        # ceil(1.15 * (40,000 + 3 * 1,800 + 3,600) / 600) = ceil(93.9) blocks
        "funding_deadline": TIP + 94,
    },
    "keymeld": {"gateway": "http://127.0.0.1:8090", "pcrs": []},
    "mode": "hold",
    "approvals": True,
}

MakeTerms = Callable[..., Terms]


def place(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        document = document[parent]
    document[name] = value


@pytest.fixture(scope="session")
def terms_document() -> Callable[..., dict[str, Any]]:
    """A fresh copy of valid terms as JSON values, with members replaced: {"money.entry_fee": 1}."""

    def make(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        document = copy.deepcopy(VALID)
        for path, value in (changes or {}).items():
            place(document, path, value)
        return document

    return make


@pytest.fixture(scope="session")
def make_terms(terms_document: Callable[..., dict[str, Any]]) -> MakeTerms:
    """Terms with members replaced. The contract's binding follows the weights unless it is set."""

    def make(changes: dict[str, Any] | None = None) -> Terms:
        document = terms_document(changes)
        if "contract.outcome_bound_splits" not in (changes or {}):
            document["contract"]["outcome_bound_splits"] = len(document["money"]["weights"]) > 1
        return convert_strict(document, Terms, "terms")

    return make


@pytest.fixture
def terms(make_terms: MakeTerms) -> Terms:
    return make_terms()


@pytest.fixture
def raw_terms(terms: Terms) -> bytes:
    return msgspec.json.encode(terms, order="sorted")
