"""One sample of every stored struct: each field filled by its type with the same values in every run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as m

from coordinator.domain.versions import DUTIES, FACTS, STATES, Codec

CODECS: tuple[Codec[Any], ...] = (STATES, FACTS, DUTIES)
GOLDEN = Path(__file__).parents[1] / "vectors" / "states"
_PLAIN: Mapping[type[m.Type], Any] = {
    m.StrType: "text",
    m.IntType: 7,
    m.BoolType: True,
    m.FloatType: 0.5,
}


def sample(kind: type[msgspec.Struct]) -> Any:
    """A struct with every field filled, optional ones too."""
    described = m.type_info(kind)
    assert isinstance(described, m.StructType)
    return _value(described)


def _value(described: m.Type) -> Any:
    kind = type(described)
    if kind in _PLAIN:
        return _PLAIN[kind]
    assert kind in _MADE, f"no sample for {described}: teach it here"
    return _MADE[kind](described)


_MADE: Mapping[type[m.Type], Callable[[Any], Any]] = {
    m.StructType: lambda t: t.cls(**{field.name: _value(field.type) for field in t.fields}),
    m.EnumType: lambda t: next(iter(t.cls)),
    m.LiteralType: lambda t: sorted(t.values, key=str)[0],
    m.VarTupleType: lambda t: (_value(t.item_type),),
    m.TupleType: lambda t: tuple(_value(item) for item in t.item_types),
    m.UnionType: lambda t: _value(next(item for item in t.types if not isinstance(item, m.NoneType))),
}


def golden_file(codec: Codec[Any], tag: str, version: int) -> Path:
    """Where the row of a tag and version is."""
    return GOLDEN / codec.kind / f"{tag}.v{version}.json"


def golden(codec: Codec[Any], tag: str) -> str:
    """What the file of the present version has to hold."""
    body = json.loads(msgspec.json.encode(sample(codec.types[tag])))
    return json.dumps(body, indent=2, sort_keys=True) + "\n"
