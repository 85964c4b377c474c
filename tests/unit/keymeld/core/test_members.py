"""The strict readers, one refusal each."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field
from coordinator_core.keymeld.members import (
    MAX_JSON_BYTES,
    Members,
    as_array,
    as_hex,
    as_integer,
    as_object,
    as_octets,
    as_uuid,
    decode_json,
    read_point,
    utf8,
)
from coordinator_core.secp256k1 import G
from coordinator_core.secret import Secret

UUID = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_json_is_bounded() -> None:
    assert decode_json(" " * (MAX_JSON_BYTES - 1) + "1", "x") == 1
    with pytest.raises(InvalidInput, match="too long"):
        decode_json(" " * MAX_JSON_BYTES + "1", "x")


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 1 << 63])
def test_integers(value: Any) -> None:
    with pytest.raises(InvalidInput):
        as_integer(value, "x")


@pytest.mark.parametrize(
    "value", ["", UUID.upper(), UUID[:-1], "{" + UUID + "}", UUID.replace("-", ""), 1, None, UUID + "\n"]
)
def test_uuids(value: Any) -> None:
    assert as_uuid(UUID, "x") == UUID
    with pytest.raises(InvalidInput):
        as_uuid(value, "x")


@pytest.mark.parametrize("value", [[256], [-1], [True], [1.0], ["1"], "00", None, {}, [0, 0]])
def test_octets(value: Any) -> None:
    assert as_octets([0], "x", 1) == b"\x00"
    with pytest.raises(InvalidInput):
        as_octets(value, "x", 1)


@pytest.mark.parametrize("value", ["", "0", "0G", "AA", "00\n", 0, None, "0000"])
def test_hex(value: Any) -> None:
    assert as_hex("0a", "x", 1) == b"\x0a"
    with pytest.raises(InvalidInput):
        as_hex(value, "x", 1)


def test_points() -> None:
    assert read_point(list(G), "x") == G
    for bad in (list(G[1:]), [2] + [255] * 32, [4, *G[1:]]):
        with pytest.raises(InvalidInput):
            read_point(bad, "x")


def test_arrays_objects_and_text() -> None:
    assert as_array([1, 2], "x", 2) == [1, 2]
    for bad in ([1, 2, 3], {}, None):
        with pytest.raises(InvalidInput):
            as_array(bad, "x", 2)
    with pytest.raises(InvalidInput):
        as_object([], "x")
    with pytest.raises(InvalidInput):
        utf8(b"\xff", "x")


def test_members_are_named_in_every_refusal() -> None:
    with pytest.raises(InvalidInput, match=r"o\.b: is missing"):
        Members({"a": 1}, "o", ("a", "b"))
    with pytest.raises(InvalidInput, match=r"o\.c: is an unknown member"):
        Members({"a": 1, "c": 1}, "o", ("a",))
    lenient = Members({"a": None, "c": 1}, "o", ("a",), only=False)
    assert (lenient.optional_integer("a"), lenient.optional_uuid("a"), lenient.optional_hex_text("a")) == (None,) * 3
    with pytest.raises(InvalidInput, match=r"o\.a"):
        lenient.boolean("a")
    with pytest.raises(InvalidInput, match="too many"):
        Members({"a": {UUID: 1}}, "o", ("a",)).by_uuid("a", as_integer, limit=0)
    with pytest.raises(InvalidInput, match="not a UUID"):
        Members({"a": {"x": 1}}, "o", ("a",)).by_uuid("a", as_integer)


def test_maps_come_back_in_uuid_order() -> None:
    first, second = UUID, UUID.replace("01890a5d", "01890a5c")
    assert list(Members({"a": {first: 1, second: 2}}, "o", ("a",)).by_uuid("a", as_integer)) == [second, first]


def test_a_short_field_is_refused() -> None:
    name = Context.SIGNATURE.value.encode()
    text = (bytes([len(name)]) + name + bytes(27)).hex()
    with pytest.raises(InvalidInput, match="too short"):
        decrypt_field(Secret(b"\x01" * 32), Context.SIGNATURE, text, "field")
