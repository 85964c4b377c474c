"""What an operator asks of a running coordinator, and what it answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from coordinator.api.documents.common import Time
from coordinator.engine.operators.acting import MAX_REASON

Reason = Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
Subject = Annotated[str, Meta(max_length=500)]


class ReasonBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it stays in the audit log."""

    reason: Reason


class RetryBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and which duty; without one every open duty of the competition."""

    reason: Reason
    duty: Subject = ""


class ReopenBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and which dead duties: those that match everything given."""

    reason: Reason
    competition: Subject = ""
    kind: Subject = ""
    duty: Subject = ""


class NeedsAttention(Struct, forbid_unknown_fields=True):
    """One thing that needs a person."""

    kind: str
    competition: str | None
    subject: str
    reason: str
    since: Time
    """Wall clock."""
    age: int
    """Seconds."""
    fix: str


class AuditLine(Struct, forbid_unknown_fields=True):
    """Something that an operator did."""

    seq: int
    at: Time
    who: str
    act: str
    competition: str | None
    subject: str
    reason: str


class Due(Struct, forbid_unknown_fields=True):
    """How many duties are tried now."""

    due: int


class Compared(Struct, forbid_unknown_fields=True):
    """How many duties ask again, and for how many watches the chain's past is searched."""

    due: int
    watches: int


class Resumed(Struct, forbid_unknown_fields=True):
    """It goes on."""

    resumed: bool


class Reopened(Struct, forbid_unknown_fields=True):
    """Ids of the duties."""

    reopened: list[str]


class FrozenNow(Struct, forbid_unknown_fields=True):
    """Whether new money is frozen."""

    frozen: bool


class CancelNoted(Struct, forbid_unknown_fields=True):
    """Noted. Everything is given back, or a second owner has to ask for it too."""

    cancelled: bool
    awaits_second_owner: bool
