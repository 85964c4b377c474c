"""Points and public scalars. A point is 33 bytes, compressed; an x-only key 32 bytes, y even (BIP340).

The point at infinity has no encoding here: an operation that would give it raises InvalidInput. Multiplying a
point other than the generator takes variable time and is for public scalars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1.native import COMPRESSED, N, ctx, exact_bytes, ffi, is_bytes, lib, require

G: Final = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
"""The generator."""

_POINT_FIX: Final = "give a compressed secp256k1 point, 33 bytes starting with 02 or 03"


def parse_native(point: object, field: str = "point") -> Any:
    """The library's own form of a 33-byte point. Raises InvalidInput."""
    data = exact_bytes(point, 33, field)
    native = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_parse(ctx, native, data, 33):
        raise InvalidInput(field, "is not a point of the curve", _POINT_FIX)
    return native


def serialize_native(native: Any) -> bytes:
    """33 bytes of a point in the library's own form."""
    output = ffi.new("unsigned char[33]")
    require(
        lib.secp256k1_ec_pubkey_serialize(ctx, output, ffi.new("size_t *", 33), native, COMPRESSED),
        "serializing a point failed",
    )
    return bytes(ffi.buffer(output))


def parse_point(point: bytes, field: str = "point") -> bytes:
    """The same 33 bytes once they are known to be a point of the curve. Raises InvalidInput."""
    parse_native(point, field)
    return point


def is_point(point: object) -> bool:
    """True for 33 bytes that are a compressed point of the curve."""
    if not is_bytes(point, 33):
        return False
    return bool(lib.secp256k1_ec_pubkey_parse(ctx, ffi.new("secp256k1_pubkey *"), point, 33))


def lift_x(x_only: bytes, field: str = "x-only key") -> bytes:
    """The point with this x and an even y (BIP340 lift_x). Raises InvalidInput."""
    point = b"\x02" + exact_bytes(x_only, 32, field)
    if not is_point(point):
        raise InvalidInput(field, "is not the x of a point of the curve", "give a BIP340 public key")
    return point


def has_odd_y(point: bytes) -> bool:
    """Parity of y. Raises InvalidInput unless it is a point."""
    return parse_point(point)[0] == 3


def scalar_from_bytes(scalar: bytes, field: str = "scalar") -> int:
    """A public big-endian scalar from 1 to N-1; a secret one belongs in SecretKey. Raises InvalidInput."""
    value = int.from_bytes(exact_bytes(scalar, 32, field), "big")
    if not 1 <= value < N:
        raise InvalidInput(field, "is not a scalar of the group", "give 32 bytes, from 1 to the order minus 1")
    return value


def scalar_to_bytes(value: int) -> bytes:
    """A public integer modulo the order, as 32 bytes big-endian."""
    return (value % N).to_bytes(32, "big")


def point_add(points: Sequence[bytes]) -> bytes:
    """Sum of one or more points. Raises InvalidInput when it is empty, infinity, or a member is no point."""
    if not points:
        raise InvalidInput("points", "is empty", "give at least one point")
    parsed = [parse_native(point, f"points[{index}]") for index, point in enumerate(points)]
    total = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_combine(ctx, total, ffi.new("secp256k1_pubkey *[]", parsed), len(parsed)):
        raise InvalidInput("points", "add up to the point at infinity", "give points that do not cancel out")
    return serialize_native(total)


def point_negate(point: bytes) -> bytes:
    """The point with the other y. Raises InvalidInput unless it is a point."""
    data = parse_point(point)
    return bytes((data[0] ^ 1,)) + data[1:]


def point_mul(point: bytes, scalar: bytes) -> bytes:
    """scalar * point, for a public scalar of 32 bytes (variable time). Raises InvalidInput."""
    native = parse_native(point)
    scalar_from_bytes(scalar)
    require(lib.secp256k1_ec_pubkey_tweak_mul(ctx, native, scalar), "multiplying a point failed")
    return serialize_native(native)


def generator_mul(scalar: bytes) -> bytes:
    """scalar * G, for a public scalar of 32 bytes. Raises InvalidInput."""
    scalar_from_bytes(scalar)
    native = ffi.new("secp256k1_pubkey *")
    require(lib.secp256k1_ec_pubkey_create(ctx, native, scalar), "multiplying the generator failed")
    return serialize_native(native)


def point_tweak_add(point: bytes, tweak: bytes) -> bytes:
    """point + tweak * G; the tweak may be zero. Raises InvalidInput for a tweak of N or more, or infinity."""
    native = parse_native(point)
    if int.from_bytes(exact_bytes(tweak, 32, "tweak"), "big") >= N:
        raise InvalidInput("tweak", "is not below the group order", "give 32 bytes, below the order")
    if not lib.secp256k1_ec_pubkey_tweak_add(ctx, native, tweak):
        raise InvalidInput("tweak", "gives the point at infinity", "give another tweak")
    return serialize_native(native)
