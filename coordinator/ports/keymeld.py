"""What the coordinator needs of a keymeld gateway: one keygen session an attempt, batches signed in it.

The gateway speaks generation A. Everything that is random (ids, credentials, ciphertexts) is made by
`coordinator_core.keymeld` and stored by the caller before it is handed over here, so that a call repeated
after a lost answer sends the same bytes. Ids are UUIDs, lower case and hyphenated. Whatever comes back is
verified before it is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import RosterExpectation, VerifiedRoster
from coordinator_core.musig2 import SigningItem
from coordinator_core.units import Seconds, UnixTime


class SessionTaken(Rejected):
    """The session id is known there with another manifest, or reserved and unreadable: choose a new id."""

    code = "keymeld.session_taken"


class SessionGone(Rejected):
    """The gateway does not know the session: expired, deleted, or lost in a restart. The attempt is over."""

    code = "keymeld.session_gone"


class SessionFailed(Rejected):
    """The gateway says that the session failed for good.

    A batch goes to a spare session, a keygen to the next attempt.
    """

    code = "keymeld.session_failed"


class EnclaveChanged(Rejected):
    """An enclave's key or epoch is no longer the pinned one. The attempt is over."""

    code = "keymeld.enclave_changed"


class RegistrationRefused(Rejected):
    """The gateway or the enclave refused a registration: the fault of who sealed it."""

    code = "keymeld.registration_refused"


class SlotTaken(Rejected):
    """A slot holds another registration than the one that was sent."""

    code = "keymeld.slot_taken"


class QuotaExceeded(Rejected):
    """No signing session is left of the manifest's quota."""

    code = "keymeld.quota_exceeded"


class ApprovalRefused(Rejected):
    """An approval or its header was refused: stale, used before, or not over this batch."""

    code = "keymeld.approval_refused"


class HeaderUsed(ApprovalRefused):
    """The gateway has seen an approval's header before: whoever signed it used it up."""

    code = "keymeld.header_used"


class NotReady(Unreachable):
    """The session is being set up, or is not complete yet: ask again."""

    code = "keymeld.not_ready"


class EnclaveKey(Struct, frozen=True):
    """An enclave as the gateway serves it, to be pinned for an attempt."""

    enclave_id: int
    public_key: bytes
    """Compressed, 33 bytes."""
    key_epoch: int
    healthy: bool
    attested: bool
    """True only when an attestation document was verified against pinned measurements."""


class Reservation(Struct, frozen=True):
    """The gateway's answer to a reserved manifest."""

    assignments: dict[str, int]
    """User id → enclave id, for the coordinator and every player."""
    coordinator_enclave: int
    expires_at: UnixTime


class Slot(Struct, frozen=True):
    """One participant's place in a keygen session."""

    user_id: str
    enclave_id: int
    claimed: bool


class KeygenState(StrEnum):
    """States of a keygen session as the gateway names them."""

    RESERVED = "reserved"
    COLLECTING = "collecting_participants"
    COMPLETED = "completed"
    FAILED = "failed"


class KeygenStatus(Struct, frozen=True):
    """Progress of a keygen session. Counts only; `roster` brings the verified result."""

    state: KeygenState
    registered: int
    expected: int
    manifest: SignedManifest | None
    recipients: EnclaveRecipients | None
    """Both verified; absent until the session is initialized."""


class SigningState(StrEnum):
    """States of a signing session as the gateway names them."""

    COLLECTING = "collecting_participants"
    INITIALIZING = "initializing_session"
    DISTRIBUTING_NONCES = "distributing_nonces"
    FINALIZING = "finalizing_signature"
    COMPLETED = "completed"
    FAILED = "failed"


class SigningStatus(Struct, frozen=True):
    """One signing session as its status route shows it."""

    state: SigningState
    requiring_approval: tuple[str, ...]
    """Users whose approval the session waits for; the gateway fills it while collecting."""
    approved: tuple[str, ...]
    items: tuple[EncryptedItem, ...]
    """The whole encrypted batch, in request order."""
    raw: bytes
    """The answer as received, to be archived for players."""


class ForwardedApproval(Struct, frozen=True):
    """A player's approval of one signing session, with the header it made for the gateway."""

    signing_session_id: str
    approval: ParticipantApproval
    user_signature: str
    """Value of X-User-Signature; it works once."""


class BatchOutcome(Struct, frozen=True):
    """What became of one batch: signatures in the order of its items, or the error that ended the waiting."""

    signing_session_id: str
    signatures: tuple[bytes, ...] = ()
    """Verified: 64 bytes for a regular item, 65 for an adaptor item."""
    raw: bytes = b""
    """The completed status as received."""
    error: Exception | None = None


class SessionLimits(Struct, frozen=True):
    """How much one keygen session bears."""

    subsets: int
    signing_sessions: int
    batch_items: int
    seconds: Seconds


class Capabilities(Struct, frozen=True):
    """What a gateway can do, as far as it says so."""

    version: str
    """The name of its build."""
    lacks: tuple[str, ...]
    """Features that it says it does not have."""
    limits: SessionLimits | None
    """None: it does not speak the protocol of this client."""


class Keymeld(Protocol):
    """A keymeld gateway. Every call ends within its own deadline.

    Raises faults.Unreachable (the effect is unknown), faults.Rejected or one of its kinds above (nothing
    happened), faults.Unsuitable (an operator has to act), and VerificationFailed with fault SIGNER for
    answers that do not verify.
    """

    async def gateway_time(self) -> UnixTime:
        """The gateway's clock; headers and approvals are dated by it."""
        ...

    async def capabilities(self) -> Capabilities:
        """What the gateway can do."""
        ...

    async def enclaves(self) -> tuple[EnclaveKey, ...]:
        """All healthy enclaves with their present keys and epochs, by ascending id."""
        ...

    async def reserve(
        self, session: SessionAccess, manifest: SignedManifest, pinned: Sequence[EnclaveKey]
    ) -> Reservation:
        """Reserve a session.

        The answer is checked: every user of the manifest, pinned enclaves only, key and epoch equal.

        Repeated with the same manifest after it was initialized, it answers from the session's own status;
        a session that was reserved and whose answer was lost cannot be read and raises SessionTaken.
        """
        ...

    async def initialize(
        self, session: SessionAccess, manifest: SignedManifest, initialization: Initialization
    ) -> None:
        """Hand the sealed session secret and the recipients to the gateway.

        Done already with the same recipients: no effect. Raises EnclaveChanged, SessionTaken, SessionGone.
        """
        ...

    async def register(self, session: SessionAccess, registration: SealedRegistration) -> None:
        """Claim a slot. The same registration again has no effect.

        Raises RegistrationRefused, EnclaveChanged, SlotTaken.
        """
        ...

    async def slots(self, session: SessionAccess) -> tuple[Slot, ...]:
        """All slots with their enclaves, in the gateway's order."""
        ...

    async def keygen_status(self, session: SessionAccess) -> KeygenStatus:
        """Where the keygen stands."""
        ...

    async def roster(self, session: SessionAccess, expectation: RosterExpectation) -> VerifiedRoster:
        """The roster of a completed keygen: signature, registrations, manifest and all aggregates recomputed.

        Raises NotReady while keys are missing.
        """
        ...

    async def start_signing(self, user: UserAccess, batch: SignedBatch) -> None:
        """Open one signing session; opened before with the same ciphertexts: no effect.

        Raises QuotaExceeded, and SessionTaken when the id holds another batch.
        """
        ...

    async def start_batches(self, user: UserAccess, batches: Sequence[SignedBatch]) -> None:
        """Open several sessions in parallel, a bounded number at a time.

        The first error ends it; repeat the call.
        """
        ...

    async def signing_status(self, user: UserAccess, signing_session_id: str) -> SigningStatus:
        """One signing session, read with the user's own header."""
        ...

    async def approve(self, forwarded: ForwardedApproval) -> None:
        """Hand a player's approval over, once.

        After Unreachable read who has approved; never resend a used header.

        Raises NotReady (the header is used up all the same), HeaderUsed, ApprovalRefused.
        """
        ...

    async def signatures(self, user: UserAccess, batch: SignedBatch, items: Sequence[SigningItem]) -> BatchOutcome:
        """The signatures of a completed session, each verified against `items`, the batch's in its order.

        Raises NotReady until completed, SessionFailed, InvalidSignature for the first wrong one,
        VerificationFailed for a missing one.
        """
        ...

    async def await_signatures(
        self,
        user: UserAccess,
        batches: Sequence[tuple[SignedBatch, Sequence[SigningItem]]],
        *,
        within: Seconds,
    ) -> tuple[BatchOutcome, ...]:
        """Wait for several sessions at most `within` seconds in all: one outcome a batch, in order.

        A batch that failed, gave a wrong signature or did not end has `error`; it can be signed again in a
        spare session.
        """
        ...
