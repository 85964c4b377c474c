"""Declaring a method: its name, parameters and types, checked before the handler runs and worded as Core does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.rpc.errors import Code, RpcError


@dataclass(slots=True)
class Context:
    """What a handler works on."""

    node: EmbeddedNode
    stop: Callable[[], None]
    uptime_seconds: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `kinds`: JSON types it may have; `default`: for one that is left out, REQUIRED if it may not."""

    name: str
    kinds: tuple[str, ...]
    default: Any


Handler = Callable[..., Any]
REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Method:
    """A callable method."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    handler: Handler

    def usage(self) -> str:
        """The first line of Core's help, then what the method does."""
        required = [p.name for p in self.parameters if p.default is REQUIRED]
        optional = [p.name for p in self.parameters if p.default is not REQUIRED]
        words = [self.name, *required]
        if optional:
            words.append("( " + " ".join(optional) + " )")
        return " ".join(words) + "\n\n" + self.description + "\n"

    def bind(self, params: list[Any] | dict[str, Any]) -> list[Any]:
        """The arguments for the handler, in order. Raises RpcError."""
        given = self._named(params) if isinstance(params, dict) else params
        if len(given) > len(self.parameters):
            raise RpcError(Code.MISC_ERROR, self.usage())
        arguments: list[Any] = []
        wrong: list[str] = []
        for position, parameter in enumerate(self.parameters):
            value = given[position] if position < len(given) else None
            if value is None:
                if parameter.default is REQUIRED:
                    raise RpcError(Code.MISC_ERROR, self.usage())
                arguments.append(parameter.default)
                continue
            if "any" not in parameter.kinds and json_kind(value) not in parameter.kinds:
                wrong.append(_type_message(position, parameter, value))
            arguments.append(value)
        if wrong:
            raise RpcError(Code.TYPE_ERROR, "Wrong type passed:\n{\n" + ",\n".join(wrong) + "\n}")
        return arguments

    def _named(self, params: dict[str, Any]) -> list[Any]:
        names = [p.name for p in self.parameters]
        for name in params:
            if name not in names:
                raise RpcError(Code.INVALID_PARAMETER, f"Unknown named parameter {name}")
        return [params.get(name) for name in names]


def _type_message(position: int, parameter: Parameter, value: Any) -> str:
    expected = " or ".join(parameter.kinds)
    text = f"JSON value of type {json_kind(value)} is not of expected type {expected}"
    return f'    "Position {position + 1} ({parameter.name})": "{text}"'


def json_kind(value: Any) -> str:
    """The name Core gives to the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class MethodTable:
    """The methods of one group."""

    def __init__(self) -> None:
        self.methods: dict[str, Method] = {}

    def method(self, *parameters: Parameter) -> Callable[[Handler], Handler]:
        """Register a handler under its own name; it takes the context, then the parameters in order.

        Its docstring is what callers read when they use it wrongly.
        """

        def register(handler: Handler) -> Handler:
            name = handler.__name__
            self.methods[name] = Method(name, inspect.getdoc(handler) or "", parameters, handler)
            return handler

        return register


def number(name: str, default: Any = REQUIRED) -> Parameter:
    """A JSON number."""
    return Parameter(name, ("number",), default)


def text(name: str, default: Any = REQUIRED) -> Parameter:
    """A JSON string."""
    return Parameter(name, ("string",), default)


def flag(name: str, default: Any = REQUIRED) -> Parameter:
    """A JSON boolean."""
    return Parameter(name, ("bool",), default)


def array(name: str, default: Any = REQUIRED) -> Parameter:
    """A JSON array."""
    return Parameter(name, ("array",), default)


def anything(name: str, default: Any = REQUIRED) -> Parameter:
    """A JSON value of any type; the handler looks at it."""
    return Parameter(name, ("any",), default)
