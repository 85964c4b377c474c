"""JSON Schema of wire types as msgspec decodes them, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, cast

import msgspec

_PREFIX = "#/$defs/"


def json_schema(kind: Any) -> dict[str, Any]:
    """The schema of a type, without references: definitions stand where they are used. `kind` is not recursive."""
    schema = msgspec.json.schema(kind)
    definitions = schema.pop("$defs", {})
    return cast(dict[str, Any], _resolved(schema, definitions))


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    members = cast(dict[str, Any], node)
    reference = members.get("$ref")
    if isinstance(reference, str) and reference.startswith(_PREFIX):
        return _resolved(definitions[reference.removeprefix(_PREFIX)], definitions)
    pattern = members.get("pattern")
    if isinstance(pattern, str):
        # Python's anchors, in the dialect of JSON Schema.
        members = members | {"pattern": pattern.replace(r"\A", "^").replace(r"\Z", "$")}
    return {name: _resolved(value, definitions) for name, value in members.items()}
