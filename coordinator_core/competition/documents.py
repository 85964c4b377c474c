"""Documents that are hashed or signed: strict decoding and one canonical form.

Canonical form: UTF-8 JSON, members sorted by name, no white space, no member left out, integers and strings
only (a decimal is a string, because a binary float may change on its way through another parser). Bytes are
lower-case hex. What was received is accepted only if encoding it again gives the same bytes, so a duplicate
member, another spelling of a number or another order cannot hide behind an equal hash.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from coordinator_core.errors import InvalidInput

MAX_DOCUMENT_BYTES: Final = 262_144
"""Longer input is refused unread."""

Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Hex33 = Annotated[str, Meta(pattern=r"\A0[23][0-9a-f]{64}\Z")]
Hex48 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{96}\Z")]
Hex64 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
DecimalText = Annotated[str, Meta(pattern=r"\A-?(0|[1-9][0-9]{0,8})\.[0-9]{1,25}\Z")]
"""A double as its shortest decimal without exponent, always with a point: "-2.5", "1.0"."""

T = TypeVar("T")
_HINT: Final = "see the schema of this document"


def canonical_bytes(document: object) -> bytes:
    """The canonical JSON bytes of a msgspec struct."""
    return msgspec.json.encode(document, order="sorted")


def decode_strict(raw: bytes | str, kind: type[T], field: str, *, limit: int = MAX_DOCUMENT_BYTES) -> T:
    """Decode JSON of any layout into `kind`: exact types, unknown members refused. Raises InvalidInput."""
    if len(raw) > limit:
        raise InvalidInput(field, f"longer than {limit} bytes", "send a shorter document")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as problem:
        path, reason = _located(str(problem), field)
        raise InvalidInput(path, reason, _HINT) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise InvalidInput(field, f"is not JSON: {problem}", "send one UTF-8 JSON object") from None


def decode_canonical(raw: bytes, kind: type[T], field: str, *, limit: int = MAX_DOCUMENT_BYTES) -> T:
    """Decode a document that is hashed or signed: as decode_strict, and `raw` must be its canonical form."""
    document = decode_strict(raw, kind, field, limit=limit)
    if canonical_bytes(document) != raw:
        raise InvalidInput(field, "is not in canonical form", "send the bytes as they were published")
    return document


def convert_strict(value: object, kind: type[T], field: str) -> T:
    """Build `kind` from parsed TOML or JSON values: exact types, unknown members refused. Raises
    InvalidInput.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        path, reason = _located(str(problem), field)
        raise InvalidInput(path, reason, _HINT) from None
    except RecursionError:
        raise InvalidInput(field, "is nested too deeply", _HINT) from None


def decimal_text(value: float) -> str:
    """The canonical text of a finite double; `float()` of it gives the same 64 bits. Raises InvalidInput."""
    if not math.isfinite(value):
        raise InvalidInput("decimal", "is not finite", "give a number")
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"


def is_canonical_decimal(text: str) -> bool:
    """True if `text` is what decimal_text gives for its own value."""
    return decimal_text(float(text)) == text


def _located(message: str, field: str) -> tuple[str, str]:
    """Split msgspec's "reason - at `$.a.b`" into a dotted path below `field`, and the reason."""
    reason, mark, path = message.rpartition(" - at `$")
    if not mark:
        return field, message
    return f"{field}{path.rstrip('`')}", reason
