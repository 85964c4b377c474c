"""All examples of BOLT11, valid and invalid, and invoices that a real LND made."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.bolt11 import Invoice, decode
from coordinator_core.errors import InvalidInput, InvalidSignature

VECTORS = Path(__file__).parents[3] / "vectors"
BOLT11 = json.loads((VECTORS / "bolt11.json").read_text())
LND = [
    exchange
    for exchange in map(json.loads, (VECTORS / "lnd/exchanges.jsonl").read_text().splitlines())
    if exchange.get("path", "").startswith("/v1/payreq/ln") and exchange["status"] == 200
]


def channel_id(text: str) -> int:
    block, transaction, output = (int(part) for part in text.split("x"))
    return block << 40 | transaction << 16 | output


def described(invoice: Invoice) -> dict[str, Any]:
    def text(value: bytes | None) -> str | None:
        return None if value is None else value.hex()

    return {
        "prefix": invoice.prefix,
        "amount_msat": invoice.amount,
        "timestamp": invoice.timestamp,
        "payment_hash": text(invoice.payment_hash),
        "payment_secret": text(invoice.payment_secret),
        "payee": text(invoice.payee),
        "description": invoice.description,
        "description_hash": text(invoice.description_hash),
        "expiry": invoice.expiry,
        "min_final_cltv_expiry": invoice.min_final_cltv_expiry,
        "features": sorted(invoice.features),
        "metadata": text(invoice.metadata),
    }


def test_no_example_is_missing() -> None:
    assert (len(BOLT11["valid"]), len(BOLT11["invalid"])) == (16, 10)
    assert LND


@pytest.mark.parametrize("vector", BOLT11["valid"], ids=lambda vector: vector["name"])
def test_valid_examples(vector) -> None:
    invoice = decode(vector["invoice"])
    expected = {name: value for name, value in vector.items() if name not in ("name", "invoice", "route_hints")}
    assert described(invoice) == expected
    hints = [
        [
            {**hop, "node_id": bytes.fromhex(hop["node_id"]), "short_channel_id": channel_id(hop["short_channel_id"])}
            for hop in hint
        ]
        for hint in vector["route_hints"]
    ]
    assert [[vars(hop) for hop in hint] for hint in invoice.route_hints] == hints


@pytest.mark.parametrize("vector", BOLT11["invalid"], ids=lambda vector: vector["name"])
def test_invalid_examples(vector) -> None:
    if vector["refused"] == "signature":
        with pytest.raises(InvalidSignature):
            decode(vector["invoice"])
        return
    with pytest.raises(InvalidInput) as refusal:
        decode(vector["invoice"])
    assert refusal.value.field == vector["refused"]


@pytest.mark.parametrize("exchange", LND, ids=lambda exchange: exchange["name"])
def test_agrees_with_lnd(exchange) -> None:
    invoice, body = decode(exchange["path"].rpartition("/")[2]), exchange["body"]
    assert invoice.payee.hex() == body["destination"]
    assert invoice.payment_hash.hex() == body["payment_hash"]
    assert invoice.payment_secret == base64.b64decode(body["payment_addr"])
    assert (invoice.amount or 0) == int(body["num_msat"])
    assert invoice.timestamp == int(body["timestamp"])
    assert invoice.expiry == int(body["expiry"])
    assert invoice.min_final_cltv_expiry == int(body["cltv_expiry"])
    assert (invoice.description or "") == body["description"]
    assert (invoice.description_hash or b"").hex() == body["description_hash"]
    assert {str(bit) for bit in invoice.features} == set(body["features"])
    assert invoice.allows_parts
    assert invoice.prefix == "bcrt"
