"""Requests as protobuf's JSON mapping reads them: strict on names and kinds, lenient on number or string.

A schema names every field of LND's message. Those this node does not act on are known but must be left out or at
their zero value: taking and ignoring them would promise what is not done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from coordinator.embedded.lightning import base64url
from coordinator.embedded.lightning.errors import Code, LndError

Message = dict[str, Any]
Reader = Callable[[object], Any]
"""Raises ValueError for a value of another kind."""
Schema = Mapping[str, tuple[Reader, bool]]
"""Field name to its reader, and whether this node acts on it."""

MAX_BODY: Final = 1 << 20
_MAX_BRACKETS: Final = 500
_INT = re.compile(r"-?(0|[1-9][0-9]{0,19})")


def integer(bits: int, *, signed: bool = True) -> Reader:
    """A number, or a string that holds one."""
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def read(value: object) -> int:
        if isinstance(value, str) and _INT.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return read


def text(value: object) -> str:
    """A string that UTF-8 can carry."""
    if not isinstance(value, str):
        raise ValueError
    value.encode()
    return value


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError
    return value


def octets(value: object) -> bytes:
    """Base64 of either alphabet."""
    data = base64url.decode_json(value) if isinstance(value, str) else None
    if data is None:
        raise ValueError
    return data


def anything(value: object) -> object:
    """A field whose content this node never reads."""
    return value


def repeated(reader: Reader) -> Reader:
    """A list of values."""

    def read(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError
        return [reader(item) for item in value]

    return read


def message(schema: Schema) -> Reader:
    """A message inside a message."""
    return lambda value: _read(value, schema, "")


def fields(acted_on: Mapping[str, Reader], known: Mapping[str, Reader] | None = None) -> dict[str, tuple[Reader, bool]]:
    """A schema of the fields this node acts on and those it only knows."""
    return {name: (reader, True) for name, reader in acted_on.items()} | {
        name: (reader, False) for name, reader in (known or {}).items()
    }


def decode(body: bytes, schema: Schema) -> Message:
    """A request body as a dict of the fields that were set. Raises LndError (code 3, or 12 for unsupported)."""
    source = body.decode("utf-8", "replace")
    if not source.strip():
        return {}
    try:
        value = parse(source)
    except json.JSONDecodeError as error:
        raise LndError(_syntax_text(source, error), Code.INVALID_ARGUMENT) from error
    except ValueError as error:
        raise LndError(f"proto: syntax error: {error}", Code.INVALID_ARGUMENT) from error
    return _read(value, schema, source)


def parse(source: str) -> Any:
    """JSON without duplicate names, NaN, or nesting that would exhaust the stack. Raises ValueError."""
    if source.count("[") + source.count("{") > _MAX_BRACKETS:
        raise ValueError("exceeded maximum recursion depth")
    return json.loads(source, object_pairs_hook=_unique, parse_constant=_no_constant)


def _read(value: object, schema: Schema, source: str) -> Message:
    if not isinstance(value, dict):
        raise LndError("proto: syntax error (line 1:1): unexpected token", Code.INVALID_ARGUMENT)
    output: Message = {}
    for key, item in value.items():
        name = str(key) if key in schema else re.sub("[A-Z]", lambda found: "_" + found[0].lower(), str(key))
        if name not in schema:
            place = source.find(f'"{key}"') + 1
            raise LndError(f'proto: (line 1:{place}): unknown field "{key}"', Code.INVALID_ARGUMENT)
        if item is None:
            continue
        output[name] = _field(name, item, schema)
    return output


def _field(name: str, item: object, schema: Schema) -> Any:
    reader, acted_on = schema[name]
    try:
        value = reader(item)
    except ValueError as error:
        raise LndError(f"proto: invalid value for field {name}", Code.INVALID_ARGUMENT) from error
    if value and not acted_on:
        raise LndError(f"{name} is not supported by the embedded node", Code.UNIMPLEMENTED)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    output = dict(pairs)
    if len(output) != len(pairs):
        raise ValueError("duplicate field")
    return output


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid value {name}")


def _syntax_text(source: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(source):
        return "unexpected EOF"
    wanted = "object key string" if "property name" in error.msg else "value"
    return f"invalid character '{source[error.pos]}' looking for beginning of {wanted}"
