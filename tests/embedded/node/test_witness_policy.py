"""Witnesses that Bitcoin Core does not relay, in Core's own words, beside those that it does."""

from __future__ import annotations

import pytest

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.witness_policy import MAX_LOW_S, check_witnesses

KEY = b"\x02" + b"\x11" * 32
P2WPKH = b"\x00\x14" + b"\x22" * 20
P2WSH = b"\x00\x20" + b"\x33" * 32
P2TR = b"\x51\x20" + b"\x44" * 32
P2SH = b"\xa9\x14" + b"\x55" * 20 + b"\x87"
ANCHOR = bytes.fromhex("51024e73")
LEAF = b"\xc0" + b"\x66" * 32
NONSTANDARD = "bad-witness-nonstandard"


def der(s: int = MAX_LOW_S, kind: int = 1, *, r: bytes = b"\x11" * 32) -> bytes:
    """A DER signature with its hash type."""
    raw = s.to_bytes(32, "big")
    body = b"\x02" + bytes([len(r)]) + r + b"\x02" + bytes([len(raw)]) + raw
    return b"\x30" + bytes([len(body)]) + body + bytes([kind])


def check(script: bytes, *witness: bytes, script_sig: bytes = b"") -> None:
    spend = TxInput(OutPoint(b"\x01" * 32, 0), script_sig, 0xFFFFFFFF, witness)
    check_witnesses(Transaction.build((spend,), (TxOutput(1_000, P2TR),)), [TxOutput(2_000, script)])


RELAYED = [
    ("no witness", P2TR, ()),
    ("key of version 0", P2WPKH, (der(), KEY)),
    ("anyone can pay", P2WPKH, (der(kind=0x81), KEY)),
    ("not the two items: the engine's to refuse", P2WPKH, (der(),)),
    ("not DER: the engine's to refuse", P2WPKH, (b"\x31" * 71, KEY)),
    ("too short for DER", P2WPKH, (b"\x30\x05\x02\x01\x01", KEY)),
    ("another length than it says", P2WPKH, (b"\x30\x02" + der()[2:], KEY)),
    ("an r that reaches past the end", P2WPKH, (b"\x30\x44\x02\xff" + der()[4:], KEY)),
    ("script of version 0", P2WSH, (b"\x01" * 80, b"\x51" * 3_600)),
    ("100 items", P2WSH, (*[b"\x01"] * 100, b"\x51")),
    ("signature in a script", P2WSH, (der(), b"\x51")),
    ("key path", P2TR, (b"\x77" * 64,)),
    ("script path", P2TR, (b"\x01" * 80, b"\x51", LEAF)),
    ("a data push of an OP_SUCCESS", P2TR, (b"\x02\x50\x62", LEAF)),
    ("a push that breaks off comes first", P2TR, (b"\x05\x01\x50", LEAF)),
    ("a version of later", b"\x52\x20" + bytes(32), (b"\x77" * 500,)),
]

REFUSED = [
    ("no witness program", b"\x51", (b"\x01",), NONSTANDARD),
    ("anchor", ANCHOR, (b"\x01",), NONSTANDARD),
    ("uncompressed key", P2WPKH, (der(), b"\x04" + bytes(64)), "Using non-compressed keys in segwit"),
    ("high S", P2WPKH, (der(MAX_LOW_S + 1), KEY), "S value is unnecessarily high"),
    ("hash type", P2WPKH, (der(kind=0), KEY), "Signature hash type missing"),
    ("high S in a script", P2WSH, (der(MAX_LOW_S + 1), b"\x51"), "S value is unnecessarily high"),
    ("long script", P2WSH, (b"\x51" * 3_601,), NONSTANDARD),
    ("101 items", P2WSH, (*[b"\x01"] * 101, b"\x51"), NONSTANDARD),
    ("long item", P2WSH, (b"\x01" * 81, b"\x51"), NONSTANDARD),
    ("annex", P2TR, (b"\x77" * 64, b"\x50\x00"), NONSTANDARD),
    ("empty control block", P2TR, (b"\x51", b""), NONSTANDARD),
    ("leaf version", P2TR, (b"\x51", b"\xc2" + b"\x66" * 32), "Taproot version reserved"),
    ("long item under taproot", P2TR, (b"\x01" * 81, b"\x51", LEAF), NONSTANDARD),
    *((f"OP_SUCCESS{op}", P2TR, (b"\x51" + bytes([op]), LEAF), "OP_SUCCESSx reserved") for op in (0x50, 0x7E, 0xFE)),
]


@pytest.mark.parametrize(("script", "witness"), [case[1:] for case in RELAYED], ids=[case[0] for case in RELAYED])
def test_it_is_relayed(script: bytes, witness: tuple[bytes, ...]) -> None:
    check(script, *witness)


@pytest.mark.parametrize(
    ("script", "witness", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_it_is_not_relayed(script: bytes, witness: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(TransactionRejected) as refused:
        check(script, *witness)
    assert reason in str(refused.value)


class TestNested:
    def test_a_program_in_a_script_hash_is_looked_into(self) -> None:
        check(P2SH, der(), KEY, script_sig=bytes([len(P2WPKH)]) + P2WPKH)
        with pytest.raises(TransactionRejected, match="non-compressed"):
            check(P2SH, der(), b"\x04" + bytes(64), script_sig=bytes([len(P2WPKH)]) + P2WPKH)

    def test_taproot_has_no_nested_form(self) -> None:
        check(P2SH, b"\x77" * 64, b"\x50", script_sig=bytes([len(P2TR)]) + P2TR)

    def test_a_witness_without_a_program_is_not_relayed(self) -> None:
        with pytest.raises(TransactionRejected, match=NONSTANDARD):
            check(P2SH, b"\x01", script_sig=b"")


def test_every_input_counts() -> None:
    good = TxInput(OutPoint(b"\x01" * 32, 0), b"", 0xFFFFFFFF, (b"\x77" * 64,))
    bad = TxInput(OutPoint(b"\x01" * 32, 1), b"", 0xFFFFFFFF, (b"\x77" * 64, b"\x50"))
    coins = [TxOutput(2_000, P2TR)] * 2
    with pytest.raises(TransactionRejected, match=NONSTANDARD):
        check_witnesses(Transaction.build((good, bad), (TxOutput(1_000, P2TR),)), coins)
