"""Bodies of requests: decoded from exactly the bytes whose hash the caller signed, strictly, or refused by field."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request

from coordinator_core.errors import Fault, InvalidInput

T = TypeVar("T")
_MEMBER: Final = re.compile(r"Object (?:contains unknown|missing required) field `([^`]{1,64})`")
_FIX: Final = "see the API's schema"


async def read_body(request: Request[Any, Any, Any], kind: type[T], fault: Fault = Fault.PLAYER) -> T:
    """The body as `kind`: exact types, unknown members refused.

    Raises InvalidInput with the dotted path of the member at fault. Its text names members and types, never values:
    some bodies hold secrets.
    """
    raw = await request.body()
    try:
        # Raw members are copied without being looked at, so their text is checked here.
        raw.decode()
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        field, reason = _located(str(error))
        raise InvalidInput(field, reason, _FIX, fault=fault) from None
    except UnicodeError:
        raise InvalidInput("body", "is not UTF-8", "send JSON in UTF-8", fault=fault) from None
    except RecursionError:
        raise InvalidInput("body", "is nested too deeply", _FIX, fault=fault) from None
    except msgspec.DecodeError:
        raise InvalidInput("body", "is not JSON", "send one JSON object", fault=fault) from None


def _located(message: str) -> tuple[str, str]:
    """msgspec's "reason - at `$.a[0].b`" as ("a[0].b", reason); a member that is missing or unknown is the field."""
    reason, _, place = message.partition(" - at `$")
    path = place.rstrip("`").removeprefix(".")
    member = _MEMBER.match(reason)
    if member is not None:
        path = f"{path}.{member[1]}" if path else member[1]
    return path or "body", re.sub(r"Invalid enum value .*", "Invalid enum value", reason)
