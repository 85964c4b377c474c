"""Points and public scalars: known answers, the rules of encodings, refusals that name the field."""

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import (
    G,
    N,
    generator_mul,
    has_odd_y,
    is_point,
    lift_x,
    parse_point,
    point_add,
    point_mul,
    point_negate,
    point_tweak_add,
    scalar_from_bytes,
    scalar_to_bytes,
    sha256,
    tagged_hash,
)

TWO_G = bytes.fromhex("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
THREE_G = bytes.fromhex("02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9")
# The order minus one is the secret of -G; x = 5 is not on the curve.
MINUS_ONE = scalar_to_bytes(-1)
OFF_CURVE = bytes(31) + b"\x05"


def test_small_multiples_of_the_generator() -> None:
    assert generator_mul(scalar_to_bytes(1)) == G
    assert generator_mul(scalar_to_bytes(2)) == point_add([G, G]) == TWO_G
    assert point_mul(G, scalar_to_bytes(3)) == point_add([TWO_G, G]) == point_tweak_add(TWO_G, scalar_to_bytes(1))
    assert point_mul(G, scalar_to_bytes(3)) == THREE_G


def test_negation_flips_the_parity_only() -> None:
    assert point_negate(G) == generator_mul(MINUS_ONE) == b"\x03" + G[1:]
    assert has_odd_y(point_negate(G))
    assert not has_odd_y(G)
    assert lift_x(point_negate(G)[1:]) == G


def test_adding_one_point_gives_it_back() -> None:
    assert point_add([THREE_G]) == THREE_G


def test_a_zero_tweak_changes_nothing() -> None:
    assert point_tweak_add(G, bytes(32)) == G


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (lambda: point_add([G, point_negate(G)]), "points"),
        (lambda: point_add([]), "points"),
        (lambda: point_add([G, b"\x02" + OFF_CURVE]), "points[1]"),
        (lambda: point_tweak_add(G, MINUS_ONE), "tweak"),
        (lambda: point_tweak_add(G, N.to_bytes(32, "big")), "tweak"),
        (lambda: point_mul(G, bytes(32)), "scalar"),
        (lambda: generator_mul(N.to_bytes(32, "big")), "scalar"),
        (lambda: scalar_from_bytes(bytes(32), "nonce"), "nonce"),
        (lambda: scalar_from_bytes(b"\xff" * 32, "nonce"), "nonce"),
        (lambda: scalar_from_bytes(bytes(31), "nonce"), "nonce"),
        (lambda: lift_x(OFF_CURVE), "x-only key"),
        (lambda: lift_x(b"\xff" * 32, "oracle key"), "oracle key"),
        (lambda: has_odd_y(G[1:]), "point"),
        (lambda: point_negate(b"\x02" + OFF_CURVE), "point"),
    ],
)
def test_refusals_name_the_field(operation, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        operation()
    assert refusal.value.field == field
    assert refusal.value.fix


UNCOMPRESSED = bytes.fromhex(
    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)


@pytest.mark.parametrize(
    "encoding",
    [
        b"",
        bytes(33),
        b"\x02" + OFF_CURVE,
        b"\x04" + G[1:],
        b"\x06" + G[1:],
        G + b"\x00",
        G[:-1],
        UNCOMPRESSED,
        b"\x06" + UNCOMPRESSED[1:],
        b"\x02" + b"\xff" * 32,
        None,
        G.hex(),
        bytearray(G),
    ],
)
def test_only_compressed_points_are_accepted(encoding) -> None:
    assert not is_point(encoding)
    with pytest.raises(InvalidInput) as refusal:
        parse_point(encoding, "oracle.point")
    assert refusal.value.field == "oracle.point"


def test_scalars_wrap_at_the_order() -> None:
    assert scalar_from_bytes(scalar_to_bytes(N + 7)) == 7
    assert scalar_from_bytes(MINUS_ONE) == N - 1


def test_tagged_hash_is_the_bip340_construction() -> None:
    tag = sha256(b"TapTweak")
    assert tagged_hash("TapTweak", b"abc") == sha256(tag + tag + b"abc")
    assert tagged_hash("TapTweak", b"abc") != tagged_hash("TapLeaf", b"abc")
