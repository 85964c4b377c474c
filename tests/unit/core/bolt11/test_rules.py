"""Rules of BOLT11 that its examples do not reach, each with an invoice that breaks just that rule."""

import pytest

from coordinator_core.bolt11 import decode
from coordinator_core.bolt11.words import MAX_LENGTH
from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.secp256k1 import N, SecretKey, generator_mul, scalar_to_bytes


def refused_field(text) -> str:
    with pytest.raises(InvalidInput) as refusal:
        decode(text)
    assert refusal.value.fix
    return refusal.value.field


def test_the_standard_invoice_is_sound(invoice, payee) -> None:
    decoded = decode(invoice())
    assert decoded.payee == payee
    assert decoded.amount == 100_000_000
    assert decoded.min_final_cltv_expiry == 144
    assert decoded.expires_at == decoded.timestamp + 3600
    assert decoded.features == {8, 14}
    assert not decoded.allows_parts
    assert decode(invoice().upper()) == decoded


@pytest.mark.parametrize(
    ("readable", "prefix", "millisats"),
    [
        ("lnbc", "bc", None),
        ("lntb", "tb", None),
        ("lntbs", "tbs", None),
        ("lntbs1", "tbs", 100_000_000_000),
        ("lnbcrt10p", "bcrt", 1),
        ("lnbcrt1n", "bcrt", 100),
        ("lnbcrt1u", "bcrt", 100_000),
        ("lnbcrt1m", "bcrt", 100_000_000),
        ("lnbcrt21000000", "bcrt", 21_000_000 * 10**11),
        ("lnbc21000000000000000n", "bc", 21_000_000 * 10**11),
    ],
)
def test_amounts_and_networks(invoice, readable: str, prefix: str, millisats: int | None) -> None:
    decoded = decode(invoice(readable))
    assert (decoded.prefix, decoded.amount) == (prefix, millisats)


@pytest.mark.parametrize(
    "readable",
    [
        "lnbcrt0",
        "lnbcrt01m",
        "lnbcrt1x",
        "lnbcrtm",
        "lnbcrt1mm",
        "lnbcrt-1m",
        "lnbcrt1p",
        "lnbcrt15p",
        "lnbcrt21000001",
        "lnbcrt9999999999999999999",
        "lnsb1m",
        "lnltc1m",
        "bcrt1m",
        "lnbcrt1.5m",
    ],
)
def test_other_amounts_and_networks_are_refused(invoice, readable: str) -> None:
    assert refused_field(invoice(readable)) == "invoice.amount"


@pytest.mark.parametrize("kind", ["p", "s"])
def test_required_fields(invoice, kind: str) -> None:
    name = {"p": "payment hash", "s": "payment secret"}[kind]
    assert refused_field(invoice(change={kind: None})) == f"invoice.{name}"
    too_long = invoice(change={kind: [1] * 53})
    assert refused_field(too_long) == f"invoice.{name}"


def test_exactly_one_description(invoice, words_of) -> None:
    digest = words_of(b"\x44" * 32)
    assert refused_field(invoice(change={"d": None})) == "invoice.description"
    assert refused_field(invoice(more=[("h", digest)])) == "invoice.description"
    assert decode(invoice(change={"d": None}, more=[("h", digest)])).description_hash == b"\x44" * 32
    assert decode(invoice(change={"d": []})).description == ""


def test_a_description_that_is_not_utf8(invoice, words_of) -> None:
    assert refused_field(invoice(change={"d": words_of(b"\xff\xfe\xfd\xfc\xfb")})) == "invoice.description"


@pytest.mark.parametrize("kind", ["p", "s", "d", "9", "c", "x", "m"])
def test_a_field_that_comes_twice(invoice, kind: str) -> None:
    words = {"p": [1] * 51 + [0], "s": [1] * 51 + [0], "x": [5], "m": [1, 16]}.get(kind, [16, 8, 0])
    more = [(kind, words)] * (2 if kind in "xm" else 1)
    with pytest.raises(InvalidInput, match="twice"):
        decode(invoice(more=more))


@pytest.mark.parametrize("kind", ["p", "s", "h"])
def test_nonzero_padding_of_a_hash(invoice, kind: str) -> None:
    change = {"d": None} if kind == "h" else {}
    more = [("h", [1] * 52)] if kind == "h" else []
    if kind != "h":
        change[kind] = [1] * 52
    expected = {"p": "payment hash", "s": "payment secret", "h": "description hash"}[kind]
    assert refused_field(invoice(change=change, more=more)) == f"invoice.{expected}"


def test_a_whole_word_of_padding(invoice) -> None:
    assert refused_field(invoice(change={"d": [12, 0, 0]})) == "invoice.description"


@pytest.mark.parametrize(("kind", "name"), [("x", "expiry"), ("c", "min final cltv expiry"), ("9", "features")])
@pytest.mark.parametrize("words", [[0, 5], [0], []])
def test_leading_zeros_of_numbers(invoice, kind: str, name: str, words: list[int]) -> None:
    assert refused_field(invoice(change={kind: words})) == f"invoice.{name}"


@pytest.mark.parametrize(("kind", "name"), [("x", "expiry"), ("c", "min final cltv expiry")])
def test_numbers_are_bounded(invoice, kind: str, name: str) -> None:
    assert refused_field(invoice(change={kind: [4, 0, 0, 0, 0, 0, 0]})) == f"invoice.{name}"
    assert refused_field(invoice(change={kind: [1] * 900})) == f"invoice.{name}"
    decode(invoice(change={kind: [3, 31, 31, 31, 31, 31, 31]}))


def test_defaults(invoice) -> None:
    decoded = decode(invoice(change={"c": None, "9": None}))
    assert (decoded.expiry, decoded.min_final_cltv_expiry, decoded.features) == (3600, 18, frozenset())


def bits(*positions: int) -> list[int]:
    value = sum(1 << position for position in positions)
    return [value >> 5 * i & 31 for i in reversed(range(-(-value.bit_length() // 5)))]


@pytest.mark.parametrize("bit", [0, 2, 18, 22, 30, 100, 4998])
def test_unknown_even_features_are_refused(invoice, bit: int) -> None:
    assert refused_field(invoice(change={"9": bits(8, 14, bit)})) == "invoice.features"


@pytest.mark.parametrize("bit", [1, 9, 15, 25, 31, 99, 4999])
def test_odd_features_are_ignored(invoice, bit: int) -> None:
    assert decode(invoice(change={"9": bits(8, 14, bit)})).features == {8, 14, bit}


@pytest.mark.parametrize("bit", [16, 17])
def test_parts_need_a_payment_secret(invoice, bit: int) -> None:
    assert decode(invoice(change={"9": bits(15, bit)})).allows_parts
    assert refused_field(invoice(change={"9": bits(8, bit)})) == "invoice.features"


def test_unknown_fields_are_skipped(invoice) -> None:
    assert decode(invoice(more=[("z", [31] * 40), ("q", []), ("f", [19, 1])])) is not None


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_data_that_ends_within_a_field(invoice, cut: int) -> None:
    assert refused_field(invoice(more=[("z", [1])], cut=cut)) == "invoice"
    assert decode(invoice(more=[("z", [1])], cut=4)) == decode(invoice())


class TestRoutes:
    HOP = generator_mul(scalar_to_bytes(9)) + bytes(range(18))

    def test_several_routes(self, invoice, words_of) -> None:
        decoded = decode(invoice(more=[("r", words_of(self.HOP)), ("r", words_of(self.HOP * 3))]))
        assert [len(route) for route in decoded.route_hints] == [1, 3]
        hop = decoded.route_hints[0][0]
        assert hop.node_id == self.HOP[:33]
        assert hop.short_channel_id == int.from_bytes(bytes(range(8)), "big")
        assert (hop.fee_base, hop.fee_proportional_millionths) == (0x08090A0B, 0x0C0D0E0F)
        assert hop.cltv_expiry_delta == 0x1011

    @pytest.mark.parametrize("data", [b"", HOP[:-1], HOP + b"\x00" * 5, b"\x05" + HOP[1:]])
    def test_malformed_routes(self, invoice, words_of, data: bytes) -> None:
        assert refused_field(invoice(more=[("r", words_of(data))])) == "invoice.route"


class TestSignature:
    @pytest.mark.parametrize(
        "tamper", [lambda s: bytes(65), lambda s: b"\xff" * 64 + s[64:], lambda s: s[:64] + b"\x04"]
    )
    def test_no_key_can_be_recovered(self, invoice, tamper) -> None:
        with pytest.raises(InvalidSignature):
            decode(invoice(tamper=tamper))

    def test_another_signature_gives_another_payee(self, invoice, payee) -> None:
        decoded = decode(invoice(tamper=lambda s: s[:64] + bytes((s[64] ^ 1,))))
        assert decoded.payee != payee

    def test_a_stated_payee_must_have_signed(self, invoice, words_of, payee) -> None:
        assert decode(invoice(more=[("n", words_of(payee))])).payee == payee
        other = SecretKey.from_bytes(scalar_to_bytes(3)).public_key
        with pytest.raises(InvalidSignature):
            decode(invoice(more=[("n", words_of(other))]))

    def test_a_stated_payee_needs_low_s(self, invoice, words_of, payee) -> None:
        def high(signature: bytes) -> bytes:
            s = N - int.from_bytes(signature[32:64], "big")
            return signature[:32] + s.to_bytes(32, "big") + bytes((signature[64] ^ 1,))

        with pytest.raises(InvalidSignature):
            decode(invoice(more=[("n", words_of(payee))], tamper=high))
        assert decode(invoice(tamper=high)).payee == payee

    def test_a_payee_off_the_curve(self, invoice, words_of) -> None:
        assert refused_field(invoice(more=[("n", words_of(b"\x02" + b"\xff" * 32))])) == "invoice.payee"


@pytest.mark.parametrize(
    "text",
    [None, 5, b"lnbc1", "", "1", "ln1", "lnbc1qqqqqq", "lnbc" + "1" * 200, "l" * (MAX_LENGTH + 1), "lnbc１qqqqqqq"],
)
def test_text_that_is_no_invoice(text) -> None:
    assert refused_field(text) == "invoice"


def test_too_short_for_a_signature(invoice) -> None:
    text = invoice()
    assert refused_field(text[:-1]) == "invoice"
