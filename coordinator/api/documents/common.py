"""Types that several documents share."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast, get_args

import msgspec
from msgspec import Meta, Struct

from coordinator.domain.competitions.states import Competition
from coordinator_core.competition.documents import Hex32

Satoshi: TypeAlias = Annotated[int, Meta(description="satoshi")]
Time: TypeAlias = Annotated[int, Meta(description="UNIX time in seconds")]
EntryId: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
TxId: TypeAlias = Hex32
"""Transaction id as explorers print it."""
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=8)]
Json: TypeAlias = dict[str, Any]
"""A document of another protocol, kept as it is."""


def _tags(union: object) -> list[str]:
    members = [member for part in get_args(union) for member in (get_args(part) or (part,))]
    return sorted(str(cast(type[Struct], member).__struct_config__.tag) for member in members)


StateName: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": _tags(Competition)})]
"""Stored name of a state."""


class Problem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """RFC 9457. `code` is stable; `field` and `fix` are there when a value of the request is at fault."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: str
    fault: str | msgspec.UnsetType = msgspec.UNSET
    field: str | msgspec.UnsetType = msgspec.UNSET
    fix: str | msgspec.UnsetType = msgspec.UNSET
