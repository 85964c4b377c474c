"""Values against the part of JSON Schema that the OpenAPI document uses; another keyword in it is a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
ANNOTATIONS = {"title", "description", "default", "format", "examples"}


def check(value: Any, schema: Mapping[str, Any], at: str = "$") -> None:
    """Raises AssertionError that names the place."""
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS:
            continue
        assert keyword in RULES, f"{at}: unknown keyword {keyword}"
        RULES[keyword](value, wanted, at, schema)


def _type(value: Any, wanted: Any, at: str, _: Any) -> None:
    names = [wanted] if isinstance(wanted, str) else wanted
    assert any(TYPES[name](value) for name in names), f"{at}: {value!r} is not {wanted}"


def _any_of(value: Any, wanted: Any, at: str, _: Any) -> None:
    problems = []
    for option in wanted:
        try:
            return check(value, option, at)
        except AssertionError as problem:
            problems.append(str(problem))
    raise AssertionError(f"{at}: none of {problems}")


def _properties(value: Any, wanted: Any, at: str, _: Any) -> None:
    for name, inner in wanted.items():
        if isinstance(value, dict) and name in value:
            check(value[name], inner, f"{at}.{name}")


def _additional(value: Any, wanted: Any, at: str, schema: Any) -> None:
    more = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else set()
    assert wanted is not False or not more, f"{at}: undocumented {sorted(more)}"
    if isinstance(wanted, dict):
        for name in more:
            check(value[name], wanted, f"{at}.{name}")


def _required(value: Any, wanted: Any, at: str, _: Any) -> None:
    assert not isinstance(value, dict) or set(wanted) <= set(value), f"{at}: misses {set(wanted) - set(value)}"


def _items(value: Any, wanted: Any, at: str, _: Any) -> None:
    if isinstance(value, list) and wanted is not False:
        for index, item in enumerate(value):
            check(item, wanted, f"{at}[{index}]")


def _prefix_items(value: Any, wanted: Any, at: str, _: Any) -> None:
    for index, (item, inner) in enumerate(zip(value, wanted, strict=False)):
        check(item, inner, f"{at}[{index}]")


def _bound(holds: Callable[[Any, Any], bool], kinds: Any) -> Callable[[Any, Any, str, Any], None]:
    def rule(value: Any, wanted: Any, at: str, _: Any) -> None:
        if isinstance(value, kinds) and not isinstance(value, bool):
            assert holds(value, wanted), f"{at}: {value!r} is out of bounds {wanted!r}"

    return rule


RULES: Mapping[str, Callable[[Any, Any, str, Any], None]] = {
    "type": _type,
    "anyOf": _any_of,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "prefixItems": _prefix_items,
    "enum": _bound(lambda value, wanted: value in wanted, object),
    "const": _bound(lambda value, wanted: value == wanted, object),
    "pattern": _bound(lambda value, wanted: re.search(wanted, value) is not None, str),
    "minimum": _bound(lambda value, wanted: value >= wanted, int | float),
    "maximum": _bound(lambda value, wanted: value <= wanted, int | float),
    "exclusiveMaximum": _bound(lambda value, wanted: value < wanted, int | float),
    "exclusiveMinimum": _bound(lambda value, wanted: value > wanted, int | float),
    "minLength": _bound(lambda value, wanted: len(value) >= wanted, str),
    "maxLength": _bound(lambda value, wanted: len(value) <= wanted, str),
    "minItems": _bound(lambda value, wanted: len(value) >= wanted, list),
    "maxItems": _bound(lambda value, wanted: len(value) <= wanted, list),
}
