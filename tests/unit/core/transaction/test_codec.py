import json
from pathlib import Path

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut, bytes_from_hex, txid_from_hex
from coordinator_core.units import Sats

CASES = json.loads((Path(__file__).parents[3] / "vectors" / "onchain" / "cases.json").read_text())["cases"]
OUTPUT = "0100000000000000" + "0151"
INPUT = "11" * 32 + "00000000" + "00" + "ffffffff"


def test_every_transaction_of_the_chain_cases_is_read_and_written_unchanged():
    for case in CASES:
        transaction = Transaction.from_hex(case["tx"])
        assert transaction.serialize().hex() == case["tx"]
        assert transaction.txid[::-1].hex() == case["txid"]
        assert (transaction.weight, transaction.vsize) == (case["weight"], case["vsize"])
        assert (transaction.version, transaction.lock_time) == (case["version"], case["locktime"])
        for parsed, expected in zip(transaction.inputs, case["inputs"], strict=True):
            assert str(parsed.previous_output) == expected["outpoint"]


def test_genesis_coinbase():
    raw = (
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
        "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420"
        "666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61"
        "deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
    )
    transaction = Transaction.from_hex(raw)
    assert transaction.txid[::-1].hex() == "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    assert transaction.wtxid == transaction.txid
    assert transaction.vsize == 204


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02",
        "02000000",
        "zz",
        "0",
        " 02000000",
        "02000000" + "00" + "01" + OUTPUT + "00000000",
        "02000000" + "01" + INPUT + "01" + OUTPUT + "0000",
        "02000000" + "01" + INPUT + "01" + OUTPUT + "00000000" + "00",
        "02000000" + "fd0100" + INPUT + "01" + OUTPUT + "00000000",
        "02000000" + "ff" + "ff" * 8,
        "02000000" + "01" + INPUT + "01" + "ffffffffffffffff" + "0151" + "00000000",
        "02000000" + "0001" + "01" + INPUT + "01" + OUTPUT + "00" + "00000000",
        "02000000" + "0002" + "01" + INPUT + "01" + OUTPUT + "0101aa" + "00000000",
    ],
)
def test_malformed_transactions_are_refused(text):
    with pytest.raises(InvalidInput):
        Transaction.from_hex(text)


def test_witness_counts_a_quarter():
    unsigned = Transaction((TxIn(OutPoint(b"\x11" * 32, 0), 0),), (TxOut(Sats(1), b"\x51"),))
    signed = unsigned.with_witness(0, (b"\xaa" * 64,))
    assert signed.txid == unsigned.txid
    assert signed.wtxid != unsigned.wtxid
    assert signed.weight == 4 * len(unsigned.serialize()) + 2 + 1 + 1 + 64
    assert Transaction.parse(signed.serialize()) == signed


def test_outpoints_are_read_in_one_form_only():
    text = "ab" * 31 + "01:7"
    outpoint = OutPoint.parse(text)
    assert (outpoint.txid[0], outpoint.vout) == (1, 7)
    assert str(outpoint) == text
    wrong = (None, 7, "", text[:-2], text + " ", text[:-1] + "٧", "ab" * 31 + ":7", text[:-1] + "-1", text + "0" * 10)
    for bad in wrong:
        with pytest.raises(InvalidInput):
            OutPoint.parse(bad)
    with pytest.raises(InvalidInput):
        OutPoint(b"\x11" * 31, 0)
    with pytest.raises(InvalidInput):
        OutPoint(b"\x11" * 32, 1 << 32)


def test_asking_for_an_output_that_is_not_there():
    transaction = Transaction((TxIn(OutPoint(b"\x11" * 32, 0), 0),), (TxOut(Sats(1), b"\x51"),))
    assert transaction.outpoint(0) == OutPoint(transaction.txid, 0)
    for vout in (-1, 1):
        with pytest.raises(InvalidInput, match="vout"):
            transaction.outpoint(vout)


@pytest.mark.parametrize("text", [None, 5, "0", "0x00", "00 00", "gg", "００"])
def test_hexadecimal_is_strict(text):
    with pytest.raises(InvalidInput):
        bytes_from_hex(text, None, "field")


def test_hexadecimal_lengths():
    assert bytes_from_hex("aAbB", 2, "field") == b"\xaa\xbb"
    assert txid_from_hex("00" * 31 + "ff")[0] == 0xFF
    with pytest.raises(InvalidInput, match="field"):
        bytes_from_hex("aabb", 3, "field")
