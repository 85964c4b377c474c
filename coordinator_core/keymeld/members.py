"""Strict reading of keymeld's JSON objects: every refusal names the member.

Unknown members of signed objects are refused: nobody signed for what we do not understand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

import msgspec

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import parse_point

MAX_JSON_BYTES = 8 * 1024 * 1024
MAX_PARTICIPANTS = 1000
U32 = (1 << 32) - 1
I64 = (1 << 63) - 1

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?:[0-9a-f]{2})+")

T = TypeVar("T")


def decode_json(text: str | bytes, field: str) -> object:
    """Parse JSON of at most 8 MiB. Raises InvalidInput."""
    if len(text) > MAX_JSON_BYTES:
        raise InvalidInput(field, "is too long", f"at most {MAX_JSON_BYTES} bytes")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(field, "is not JSON") from error


def as_uuid(value: object, field: str) -> str:
    """A UUID in its one canonical text form. Raises InvalidInput."""
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise InvalidInput(field, "is not a UUID", "lower case, with hyphens")
    return value


def as_integer(value: object, field: str, low: int = 0, high: int = I64) -> int:
    """An integer from `low` to `high`. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInput(field, "is not a whole number in range", f"{low} to {high}")
    return value


def as_octets(value: object, field: str, length: int | None = None) -> bytes:
    """Bytes written as an array of integers, of exactly `length` if given. Raises InvalidInput."""
    if not isinstance(value, list):
        raise InvalidInput(field, "is not an array of integers", "bytes are written as [0, 255, ...]")
    numbers = cast("list[object]", value)
    if length is not None and len(numbers) != length:
        raise InvalidInput(field, f"has {len(numbers)} bytes", f"exactly {length}")
    if not all(type(number) is int and 0 <= number <= 255 for number in numbers):
        raise InvalidInput(field, "holds something other than bytes", "integers 0 to 255")
    return bytes(cast("list[int]", numbers))


def as_hex(value: object, field: str, length: int | None = None) -> bytes:
    """Lower-case hex of exactly `length` bytes if given, never empty. Raises InvalidInput."""
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise InvalidInput(field, "is not lower-case hex")
    if length is not None and len(value) != 2 * length:
        raise InvalidInput(field, f"has {len(value) // 2} bytes", f"exactly {length}")
    return bytes.fromhex(value)


def as_object(value: object, field: str) -> dict[str, object]:
    """A JSON object. Raises InvalidInput."""
    if not isinstance(value, dict):
        raise InvalidInput(field, "is not a JSON object")
    return cast("dict[str, object]", value)


def as_array(value: object, field: str, limit: int) -> list[object]:
    """A JSON array of at most `limit` elements. Raises InvalidInput."""
    if not isinstance(value, list) or len(cast("list[object]", value)) > limit:
        raise InvalidInput(field, "is not an array in range", f"at most {limit} elements")
    return cast("list[object]", value)


def utf8(text: bytes, field: str) -> str:
    """Decode UTF-8. Raises InvalidInput."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(field, "is not UTF-8") from error


class Members:
    """One JSON object with exactly the named members; each method takes one member and checks it.

    With `only=False` further members are ignored: answers of a server may grow, signed objects may not.
    """

    def __init__(self, value: object, field: str, names: Iterable[str], *, only: bool = True) -> None:
        self._object = as_object(value, field)
        self._field = field
        expected = set(names)
        if only and (unknown := self._object.keys() - expected):
            raise InvalidInput(f"{field}.{min(unknown)}", "is an unknown member", "leave it out")
        if missing := expected - self._object.keys():
            raise InvalidInput(f"{field}.{min(missing)}", "is missing")

    def path(self, name: str) -> str:
        """The dotted path of a member."""
        return f"{self._field}.{name}"

    def uuid(self, name: str) -> str:
        """A UUID."""
        return as_uuid(self._object[name], self.path(name))

    def optional_uuid(self, name: str) -> str | None:
        """A UUID or null."""
        return None if self._object[name] is None else self.uuid(name)

    def integer(self, name: str, low: int = 0, high: int = I64) -> int:
        """An integer from `low` to `high`."""
        return as_integer(self._object[name], self.path(name), low, high)

    def optional_integer(self, name: str, low: int = 0, high: int = I64) -> int | None:
        """An integer from `low` to `high`, or null."""
        return None if self._object[name] is None else self.integer(name, low, high)

    def octets(self, name: str, length: int) -> bytes:
        """Exactly `length` bytes, written as integers."""
        return as_octets(self._object[name], self.path(name), length)

    def point(self, name: str) -> bytes:
        """A compressed point, written as integers."""
        return parse_point(self.octets(name, 33), self.path(name))

    def hex_point(self, name: str) -> bytes:
        """A compressed point, written as hex."""
        return parse_point(as_hex(self._object[name], self.path(name), 33), self.path(name))

    def hex_text(self, name: str) -> str:
        """A string of lower-case hex, kept as text because the text itself is signed."""
        as_hex(self._object[name], self.path(name))
        return cast("str", self._object[name])

    def optional_hex_text(self, name: str) -> str | None:
        """Such a string or null."""
        return None if self._object[name] is None else self.hex_text(name)

    def boolean(self, name: str) -> bool:
        """true or false."""
        value = self._object[name]
        if not isinstance(value, bool):
            raise InvalidInput(self.path(name), "is not true or false")
        return value

    def raw(self, name: str) -> object:
        """The member as it stands."""
        return self._object[name]

    def array(self, name: str, limit: int) -> list[object]:
        """An array of at most `limit` elements."""
        return as_array(self._object[name], self.path(name), limit)

    def by_uuid(self, name: str, read: Callable[[object, str], T], limit: int = MAX_PARTICIPANTS) -> dict[str, T]:
        """A map keyed by UUID, returned in UUID order."""
        entries = as_object(self._object[name], self.path(name))
        if len(entries) > limit:
            raise InvalidInput(self.path(name), "has too many members", f"at most {limit}")
        return {
            as_uuid(key, self.path(name)): read(entries[key], f"{self.path(name)}.{key}") for key in sorted(entries)
        }


def read_point(value: object, field: str) -> bytes:
    """A compressed point, written as integers. Raises InvalidInput."""
    return parse_point(as_octets(value, field, 33), field)
