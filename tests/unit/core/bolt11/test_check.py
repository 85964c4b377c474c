"""The comparison of an invoice with what was agreed: each difference alone is refused and named."""

import pytest

from coordinator_core.bolt11 import PREFIXES, check, decode
from coordinator_core.errors import Refused
from coordinator_core.secp256k1 import generator_mul, scalar_to_bytes, sha256
from coordinator_core.units import Blocks, Millisats, Seconds, UnixTime

MADE = 1_700_000_000


@pytest.fixture
def agreed(payee):
    return {
        "prefix": PREFIXES["regtest"],
        "now": UnixTime(MADE + 60),
        "payment_hash": b"\x22" * 32,
        "amount": Millisats(100_000_000),
        "description": "entry",
        "payee": payee,
        "at_least_valid": Seconds(3540),
        "most_final_cltv_expiry": Blocks(144),
    }


def test_the_agreed_invoice_passes(invoice, agreed) -> None:
    check(decode(invoice()), **agreed)
    check(decode(invoice("lnbcrt")), prefix="bcrt", now=UnixTime(MADE))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prefix": "bc"}, "network"),
        ({"payment_hash": bytes(32)}, "payment hash"),
        ({"amount": Millisats(100_000_001)}, "amount"),
        ({"amount": Millisats(99_999_999)}, "amount"),
        ({"description": "entry 2"}, "description"),
        ({"payee": generator_mul(scalar_to_bytes(2))}, "payee"),
        ({"at_least_valid": Seconds(3541)}, "expiry"),
        ({"now": UnixTime(MADE + 3600), "at_least_valid": Seconds(1)}, "expiry"),
        ({"now": UnixTime(MADE - 7201)}, "timestamp"),
        ({"most_final_cltv_expiry": Blocks(143)}, "min final cltv expiry"),
    ],
)
def test_each_difference_is_named(invoice, agreed, change, field) -> None:
    with pytest.raises(Refused) as refusal:
        check(decode(invoice()), **{**agreed, **change})
    assert refusal.value.field == f"invoice.{field}"


def test_an_invoice_without_an_amount_is_not_one_of_an_amount(invoice, agreed) -> None:
    with pytest.raises(Refused) as refusal:
        check(decode(invoice("lnbcrt")), **agreed)
    assert refusal.value.field == "invoice.amount"


def test_a_hashed_description(invoice, words_of, agreed) -> None:
    hashed = decode(invoice(change={"d": None}, more=[("h", words_of(sha256(b"entry")))]))
    check(hashed, **agreed)
    with pytest.raises(Refused) as refusal:
        check(hashed, **{**agreed, "description": "other"})
    assert refusal.value.field == "invoice.description hash"
