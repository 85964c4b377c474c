"""Payment requests: LND's own texts are read and written again word for word; damaged ones are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.embedded.lightning import bech32, bolt11
from coordinator.embedded.lightning.bolt11 import PaymentRequest
from coordinator.embedded.lightning.errors import LndError
from coordinator_core.secp256k1 import SecretKey

VECTORS = Path(__file__).parents[2] / "vectors" / "lnd" / "exchanges.jsonl"
ROWS = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
KEY = SecretKey.from_bytes(bytes(range(1, 33)))
SIGNATURE_LETTERS = 104 + 6


def requests(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("payment_request"), str):
            yield value["payment_request"]
        for item in value.values():
            yield from requests(item)
    elif isinstance(value, list):
        for item in value:
            yield from requests(item)


RECORDED = sorted({text for row in ROWS for text in requests(row["body"]) if text.startswith("lnbcrt")})


def sample(**changes: Any) -> PaymentRequest:
    request = PaymentRequest("bcrt", 1000, 1_700_000_000, bytes(32), b"\1" * 32, KEY.public_key)
    return replace(request, **changes)


def test_recordings_hold_invoices() -> None:
    assert len(RECORDED) > 20


@pytest.mark.parametrize("text", RECORDED)
def test_written_as_lnd_writes(text: str) -> None:
    again = bolt11.encode(bolt11.decode(text), KEY)
    assert again[:-SIGNATURE_LETTERS] == text[:-SIGNATURE_LETTERS]


def test_payee_is_the_node_that_made_it() -> None:
    row = next(row for row in ROWS if row["name"] == "payreq")
    request = bolt11.decode(row["path"].rpartition("/")[2])
    assert request.payee.hex() == row["body"]["destination"]
    assert request.payment_hash.hex() == row["body"]["payment_hash"]
    assert request.description == "entry ü"
    assert (request.amount_msat, request.expiry, request.final_cltv_delta) == (50_000_000, 600, 144)


@given(
    amount=st.none() | st.integers(1, 2_100_000_000_000_000_000),
    timestamp=st.integers(0, (1 << 35) - 1),
    text=st.text(st.characters(codec="utf-8"), max_size=100),
    expiry=st.integers(0, 1 << 40),
    delta=st.integers(0, 1 << 30),
)
def test_round_trip(amount: int | None, timestamp: int, text: str, expiry: int, delta: int) -> None:
    request = sample(amount_msat=amount, timestamp=timestamp, description=text, expiry=expiry, final_cltv_delta=delta)
    assert bolt11.decode(bolt11.encode(request, KEY)) == request


@given(st.data())
def test_a_changed_letter_is_refused(data: st.DataObject) -> None:
    text = bolt11.encode(sample(), KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(bech32.ALPHABET + "1b").filter(lambda item: item != text[place]))
    with pytest.raises(LndError):
        bolt11.decode(text[:place] + letter + text[place + 1 :])


@given(st.text(max_size=200))
def test_hostile_text_is_refused(text: str) -> None:
    for hostile in (text, "lnbcrt1" + text, "LNBCRT1" + text):
        with pytest.raises(LndError):
            bolt11.decode(hostile)


@given(st.lists(st.integers(0, 31), max_size=300))
def test_hostile_words_behind_a_good_checksum_are_refused(words: list[int]) -> None:
    with pytest.raises(LndError):
        bolt11.decode(bech32.encode("lnbcrt10u", words))


@pytest.mark.parametrize(
    ("amount_msat", "prefix"),
    [(None, "lnbcrt1"), (1, "lnbcrt10p1"), (1500, "lnbcrt15n1"), (2_000_000_000, "lnbcrt20m1"), (10**11, "lnbcrt11")],
)
def test_shortest_amount(amount_msat: int | None, prefix: str) -> None:
    assert bolt11.encode(sample(amount_msat=amount_msat), KEY).startswith(prefix)


@pytest.mark.parametrize("amount", ["10", "1x", "15p", "p", "01p1p"])
def test_bad_amounts_are_refused(amount: str) -> None:
    text = bolt11.encode(sample(), KEY)
    _, words = bech32.decode(text)
    with pytest.raises(LndError):
        bolt11.decode(bech32.encode(f"lnbcrt{amount}x" if amount == "10" else f"lnbcrt{amount}", words))


def test_a_required_feature_that_is_unknown_is_refused() -> None:
    with pytest.raises(LndError, match="unknown feature bits"):
        bolt11.decode(bolt11.encode(sample(features=(8, 14, 100)), KEY))
    assert bolt11.decode(bolt11.encode(sample(features=(8, 14, 101)), KEY)).features == (8, 14, 101)
