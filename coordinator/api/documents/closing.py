"""The closing: bodies and answers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from coordinator.api.documents.common import Attempt, EntryId, Json
from coordinator.api.documents.competitions import Awaited
from coordinator.engine.commands.closing import GivenApproval
from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.picks import Pick

MAX_PICKS = 800
MAX_BATCHES = 100
MAX_ID = 64
Ciphertext = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){1,8192}\Z")]
SessionId = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
UserHeader = Annotated[str, Meta(pattern=r"\Av1:[0-9]{1,16}:[0-9a-f]{2,128}:[0-9a-f]{128}\Z")]
"""keymeld's X-User-Signature, which is sent on as a header: no other character may be in it."""


class Join(Struct, frozen=True, forbid_unknown_fields=True):
    """The sealed key of an attempt, and the opened picks."""

    entry_id: UUID
    attempt: Attempt
    registration: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
    """keymeld's registration authorization; its bytes are kept."""
    ciphertext: Ciphertext
    salt: Hex32
    picks: Annotated[tuple[Pick, ...], Meta(max_length=MAX_PICKS)]


class ReadyBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The signing sessions whose every item was compared with one's own contract."""

    entry_id: UUID
    attempt: Attempt
    sessions: Annotated[tuple[SessionId, ...], Meta(max_length=MAX_BATCHES)]


class ApprovalDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """keymeld's participant approval. The signature is 64 integers of 0 to 255."""

    user_id: UUID
    timestamp: Annotated[int, Meta(ge=0, lt=1 << 53)]
    signature: Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(min_length=64, max_length=64)]


class ApprovalGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """The approval of one signing session, with a fresh header for the gateway."""

    signing_session_id: SessionId
    approval: ApprovalDocument
    x_user_signature: UserHeader

    def command(self) -> GivenApproval:
        """As the engine takes it."""
        # As JSON says it: to_builtins alone would keep the signature a tuple, which is no array to who reads JSON.
        approval = msgspec.json.decode(msgspec.json.encode(self.approval))
        return GivenApproval(self.signing_session_id, approval, self.x_user_signature)


class Approvals(Struct, frozen=True, forbid_unknown_fields=True):
    """Fresh approvals of open signing sessions."""

    entry_id: UUID
    attempt: Attempt
    approvals: Annotated[tuple[ApprovalGiven, ...], Meta(min_length=1, max_length=MAX_BATCHES)]


class Joined(Struct, forbid_unknown_fields=True):
    """The slot that was sealed."""

    entry_id: EntryId
    keymeld_user_id: EntryId
    keymeld_session_id: str


class IsReady(Struct, forbid_unknown_fields=True):
    """Noted."""

    ready: bool


class Accepted(Struct, forbid_unknown_fields=True):
    """How many approvals were taken."""

    accepted: int


class SigningSession(Struct, forbid_unknown_fields=True):
    """An open signing session; `replaces` names the hanging one that this spare stands for."""

    session: str
    replaces: str | None


class KeymeldStatus(Struct, forbid_unknown_fields=True):
    """All that a player's client needs for its next step; what does not exist yet is null."""

    attempt: Attempt | None
    keygen_status: Annotated[str, Meta(extra_json_schema={"enum": ["none", "sealing", "completed", "failed"]})]
    signing_status: Annotated[str, Meta(extra_json_schema={"enum": ["none", "approving", "signing", "signed"]})]
    participant_approvals: dict[str, bool]
    waiting_for: list[Awaited]
    in_attempt: bool
    sealed: bool
    closing_done: bool
    event_id: str | None
    keygen_session_id: str | None
    keymeld_user_id: EntryId | None
    coordinator_user_id: str | None
    manifest: Json | None
    recipients: Json | None
    assigned_enclave: int | None
    enclave_key_epoch: int | None
    roster: Json | None
    encrypted_session_secret: str | None
    """NIP-44 to the player, once the roster is complete."""
    secret_withheld: str | None
    """Why it is not there."""
    signing_sessions: list[SigningSession]
    approvals_wanted: bool
    approved: list[str]


class ArchivedSession(Struct, forbid_unknown_fields=True):
    """A completed signing session as the gateway gave it."""

    attempt: Attempt
    session: str
    status: Json
