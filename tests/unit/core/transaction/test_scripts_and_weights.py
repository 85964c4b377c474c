import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import (
    PAY_TO_ANCHOR,
    fee_for_weight,
    input_weight,
    pay_to_taproot,
    predict_weight,
    push_int,
)
from coordinator_core.transaction.weight import KEY_PATH_WITNESS, dust_limit
from coordinator_core.units import FeeRate


@pytest.mark.parametrize(
    ("value", "script"),
    [
        (-1, "4f"),
        (0, "00"),
        (1, "51"),
        (16, "60"),
        (17, "0111"),
        (127, "017f"),
        (128, "028000"),
        (255, "02ff00"),
        (256, "020001"),
        (300, "022c01"),
        (32767, "02ff7f"),
        (32768, "03008000"),
        (65534, "03feff00"),
        (8388607, "03ffff7f"),
        (8388608, "0400008000"),
        (-2, "0182"),
        (-128, "028080"),
    ],
)
def test_script_numbers_are_minimal(value, script):
    assert push_int(value).hex() == script


@pytest.mark.parametrize("value", [1 << 31, -(1 << 31)])
def test_numbers_no_opcode_reads(value):
    with pytest.raises(InvalidInput):
        push_int(value)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_output_keys_are_x_only(length):
    with pytest.raises(InvalidInput):
        pay_to_taproot(bytes(length))


def test_predicted_weights_of_dlctix():
    key_spend = input_weight(KEY_PATH_WITNESS)
    assert predict_weight([key_spend], [34]) == 444
    assert predict_weight([key_spend], [34, len(PAY_TO_ANCHOR)]) == 496
    assert input_weight(()) == 165
    # Items above 252 bytes take a length of three bytes.
    assert input_weight((253,)) - input_weight((252,)) == 3


def test_fees_are_rounded_up():
    assert fee_for_weight(FeeRate(12_500), 444) == 5_550
    assert fee_for_weight(FeeRate(1), 1) == 1
    assert fee_for_weight(FeeRate(1_000), 444) == 444
    assert fee_for_weight(FeeRate(250), 445) == 112


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        (b"\x51\x20" + bytes(32), 330),
        (b"\x00\x14" + bytes(20), 294),
        (b"\x00\x20" + bytes(32), 330),
        (PAY_TO_ANCHOR, 240),
        (b"\xa9\x14" + bytes(20) + b"\x87", 540),
        (b"\x76\xa9\x14" + bytes(20) + b"\x88\xac", 546),
    ],
)
def test_dust_limits_of_bitcoin_core(script, limit):
    assert dust_limit(script) == limit
