"""Reads JSON of hostile origin: unknown and repeated fields, wrong types and ranges are refused by their path."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final, NoReturn, cast

from coordinator_core.errors import InvalidInput

MAX_DOCUMENT_BYTES: Final = 64_000_000


def load(document: str | bytes, field: str) -> object:
    """Decode one document. Raises InvalidInput for malformed, oversized or too deeply nested JSON."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise InvalidInput(field, f"is longer than {MAX_DOCUMENT_BYTES} bytes", "give a smaller document")
    try:
        return json.loads(document, object_pairs_hook=_unique_fields, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else f"is not JSON: {error}"
        raise InvalidInput(field, reason, "give one JSON object") from None


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise InvalidInput(_shown(repeated), "appears twice in one object", "give each field once")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput("number", f"{name} is not a JSON number", "an integer")


def dump(value: object) -> str:
    """Compact JSON in insertion order, as dlctix writes it."""
    return json.dumps(value, separators=(",", ":"))


def expect_map(value: object, path: str) -> dict[str, object]:
    """An object with any fields."""
    if not isinstance(value, dict):
        raise InvalidInput(path, "is not an object", "a JSON object")
    return cast("dict[str, object]", value)


def expect_object(
    value: object, path: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, object]:
    """An object with all required, perhaps some optional and no other fields."""
    fields = expect_map(value, path)
    for name in required:
        if name not in fields:
            raise InvalidInput(join(path, name), "is missing", "give this field")
    for name in fields:
        if name not in required and name not in optional:
            raise InvalidInput(join(path, _shown(name)), "is not a known field", "leave it out")
    return fields


def expect_list(value: object, path: str, most: int) -> list[object]:
    """An array of at most `most` elements."""
    if not isinstance(value, list):
        raise InvalidInput(path, "is not an array", "a JSON array")
    elements = cast("list[object]", value)
    if len(elements) > most:
        raise InvalidInput(path, f"has {len(elements)} elements", f"at most {most}")
    return elements


def expect_integer(value: object, path: str, least: int, most: int) -> int:
    """A whole number in a range; true, 1.0 and "1" are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(path, "is not a whole number", f"an integer from {least} to {most}")
    if not least <= value <= most:
        raise InvalidInput(path, "is out of range", f"an integer from {least} to {most}")
    return value


def expect_boolean(value: object, path: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise InvalidInput(path, "is not a truth value", "true or false")
    return value


def expect_index(text: str, path: str, most: int) -> int:
    """A decimal map key without sign or leading zeros, 0 to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and str(int(text)) == text):
        raise InvalidInput(path, "is not an index", "decimal digits without leading zeros")
    return expect_integer(int(text), path, 0, most)


def join(path: str, name: str) -> str:
    """The path of a field inside an object."""
    return f"{path}.{name}" if path else name


def _shown(name: str) -> str:
    return name[:64].encode("ascii", "backslashreplace").decode()
