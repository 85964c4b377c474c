"""Answers of the closing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from coordinator.player.wire.members import Attempt, Text, Uuid

MAX_SESSIONS = 1_000


class NamedSession(Struct, frozen=True):
    """A signing session; a spare one names the session that it replaces."""

    session: Uuid
    replaces: Uuid | None


class ClosingStatus(Struct, frozen=True):
    """GET keymeld/status. Signed documents are read strictly by keymeld's own rooms."""

    attempt: Attempt | None
    keygen_status: Literal["none", "sealing", "completed", "failed"]
    signing_status: Literal["none", "approving", "signing", "signed"]
    in_attempt: bool
    sealed: bool
    closing_done: bool
    keygen_session_id: Uuid | None
    manifest: dict[str, Any] | None
    recipients: dict[str, Any] | None
    roster: dict[str, Any] | None
    encrypted_session_secret: Annotated[str, Meta(max_length=87_472)] | None
    secret_withheld: Text | None
    signing_sessions: Annotated[tuple[NamedSession, ...], Meta(max_length=MAX_SESSIONS)]
    approvals_wanted: bool
    approved: Annotated[tuple[Uuid, ...], Meta(max_length=MAX_SESSIONS)]


class Accepted(Struct, frozen=True):
    """What join, ready and approvals answer: that the coordinator has it."""
