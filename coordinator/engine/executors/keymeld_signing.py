"""keymeld, signing part: batches, spare sessions, approvals, signatures (money section 5)."""

from __future__ import annotations

import uuid

import msgspec

from coordinator.domain.competitions.closing import spares_allowed
from coordinator.domain.duties import CollectSignatures, ForwardApproval, OpenBatches, OpenSpare
from coordinator.domain.facts import (
    Approval,
    ApprovalSpent,
    AttemptFault,
    Batch,
    BatchesOpen,
    BatchHung,
    BatchSigned,
    Fact,
    Forwarded,
    Keygen,
    SpareOpen,
)
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.contracts import contract_of
from coordinator.engine.executors.keymeld_session import credentials, expectation, session_open
from coordinator.engine.executors.services import Services
from coordinator.ports.faults import Unreachable
from coordinator.ports.keymeld import (
    ApprovalRefused,
    ForwardedApproval,
    HeaderUsed,
    NotReady,
    QuotaExceeded,
    SessionFailed,
    SessionGone,
    SessionTaken,
    SigningState,
)
from coordinator_core.errors import Misuse, VerificationFailed
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.approval import FORWARDING_AGE, ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.plan import SIGNING_TIMEOUT, plan_batches
from coordinator_core.keymeld.roster import SignedRoster, VerifiedRoster, verify_roster
from coordinator_core.musig2 import SigningItem
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

POLL_SECONDS = 0.3
SIGNING = frozenset(SigningState) - {SigningState.COLLECTING, SigningState.FAILED}
GONE = (SessionGone, SessionFailed, QuotaExceeded, SessionTaken)


def verified_roster(services: Services, lane: Lane, attempt: int) -> VerifiedRoster:
    """The roster of an attempt, verified again from its stored bytes."""
    keygen = lane.facts.get(Keygen, attempt)
    if keygen is None:
        raise Misuse(f"attempt {attempt} has no roster")
    return verify_roster(SignedRoster.from_json(keygen.roster), expectation(services, lane, attempt))


async def stored_batch(services: Services, lane: str, session_id: str) -> SignedBatch:
    """A signed batch as it was sent. Raises Misuse."""
    text = await services.store.pinned(f"{lane}/signing", session_id)
    if text is None:
        raise Misuse(f"signing session {session_id} was never opened")
    return SignedBatch.from_json(text)


async def own_access(services: Services, lane: Lane, attempt: int) -> UserAccess:
    """The coordinator as a participant."""
    opened = session_open(lane, attempt)
    held = await credentials(services, lane.id, attempt)
    return held.user(opened.session_id, opened.user_id, services.secrets.market_maker_key(lane.id))


class OpenBatchesExecutor:
    """Open every signing session of the contract at once; ciphertexts are pinned, so a repeat sends the same ones."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[OpenBatches]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        s, lane = self._s, task.lane
        held = await credentials(s, lane.id, duty.attempt)
        opened = session_open(lane, duty.attempt)
        contract = await contract_of(s, lane, duty.attempt)
        items = tuple(contract.signing_items())
        raw = await s.pinned(task.id, "batches", lambda: self._build(lane, duty.attempt, items, held.session_secret))
        planned = msgspec.json.decode(raw, type=list[tuple[str, int, list[str]]])
        batches: list[SignedBatch] = []
        for session_id, _, encrypted in planned:
            parts = [msgspec.json.decode(part) for part in encrypted]
            signed = SignedBatch.sign(
                opened.session_id,
                session_id,
                SIGNING_TIMEOUT,
                [EncryptedItem.from_value(part, "item") for part in parts],
                held.creator_key,
            )
            text = await s.pinned(f"{lane.id}/signing", session_id, lambda b=signed: b.to_json().encode())
            batches.append(SignedBatch.from_json(text))
        try:
            await s.keymeld.start_batches(await own_access(s, lane, duty.attempt), batches)
        except GONE as error:
            return Done([AttemptFault(attempt=duty.attempt, reason=error.reason)])
        listed = tuple(Batch(session, index, count) for index, (session, count, _) in enumerate(planned))
        return Done([BatchesOpen(attempt=duty.attempt, batches=listed, opened_at=s.clock.wall())])

    def _build(self, lane: Lane, attempt: int, items: tuple[SigningItem, ...], secret: Secret) -> bytes:
        roster = verified_roster(self._s, lane, attempt)
        planned: list[tuple[str, int, list[str]]] = []
        for plain in plan_batches(items, roster):
            encrypted = [msgspec.json.encode(EncryptedItem.encrypt(i, secret).payload()).decode() for i in plain]
            planned.append((str(uuid.uuid4()), len(plain), encrypted))
        return msgspec.json.encode(planned)


async def items_of_batch(services: Services, lane: Lane, attempt: int, index: int) -> tuple[SigningItem, ...]:
    """The contract's items in the batch of an index."""
    opened = lane.facts.get(BatchesOpen, attempt)
    if opened is None:
        raise Misuse(f"attempt {attempt} has no batches")
    start = sum(batch.items for batch in opened.batches[:index])
    contract = await contract_of(services, lane, attempt)
    return tuple(contract.signing_items())[start : start + opened.batches[index].items]


class OpenSpareExecutor:
    """Sign a batch that hung again in a spare session: exactly its items, a new session id."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[OpenSpare]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        s, lane = self._s, task.lane
        opened = lane.facts.get(BatchesOpen, duty.attempt)
        used = len(lane.facts.of_attempt(SpareOpen, duty.attempt))
        if opened is None or used >= spares_allowed(len(opened.batches)):
            return Done([AttemptFault(attempt=duty.attempt, reason="no spare signing session is left")])
        held = await credentials(s, lane.id, duty.attempt)
        old = await stored_batch(s, lane.id, duty.replaces)
        session_id = (await s.pinned(task.id, "session", lambda: str(uuid.uuid4()).encode())).decode()
        text = await s.pinned(
            f"{lane.id}/signing",
            session_id,
            lambda: (
                SignedBatch.sign(old.keygen_session_id, session_id, old.timeout_secs, old.items, held.creator_key)
                .to_json()
                .encode()
            ),
        )
        try:
            await s.keymeld.start_signing(await own_access(s, lane, duty.attempt), SignedBatch.from_json(text))
        except GONE as error:
            return Done([AttemptFault(attempt=duty.attempt, reason=error.reason)])
        batch = Batch(session_id, duty.index, len(old.items), replaces=duty.replaces)
        return Done([SpareOpen(attempt=duty.attempt, batch=batch, opened_at=s.clock.wall())])


class ForwardApprovalExecutor:
    """Hand one approval over. A used header is never sent again: after a lost answer, or one that says "not ready",
    the status says who approved, and a player whose approval is not there is asked for a fresh one; so is one whose
    approval grew old while others were awaited. No spare session is spent on that, nor on a header that the player
    had used up itself: it has not approved. Any other refusal of what we verified is keymeld's.
    """

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[ForwardApproval]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        given = task.lane.facts.get(Approval, f"{duty.attempt}/{duty.session_id}/{duty.entry_id}")
        done: list[Fact] = [Forwarded(attempt=duty.attempt, entry_id=duty.entry_id, session_id=duty.session_id)]
        if given is None or given.timestamp != duty.timestamp:
            return Done()
        try:
            if await self._has_approved(task.lane, duty):
                return Done(done)
            spent = await self._send(task, given)
        except NotReady:
            return Again(POLL_SECONDS)
        except Unreachable:
            return Again(POLL_SECONDS, reason="the gateway's answer to an approval was lost")
        except (ApprovalRefused, *GONE) as error:
            return Done([BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason=error.reason)])
        return Done(done if spent is None else [spent])

    async def _send(self, task: Task[ForwardApproval], given: Approval) -> ApprovalSpent | None:
        """One send a header, written down before it; None when the gateway holds the approval now."""
        s, duty = self._s, task.duty
        sent = await s.store.pinned(task.id, "sent") is not None
        if sent or await s.keymeld.gateway_time() - given.timestamp > FORWARDING_AGE:
            return self._spent(duty)
        await s.pinned(task.id, "sent", lambda: b"1")
        approval = ParticipantApproval.from_json(given.approval)
        try:
            await s.keymeld.approve(ForwardedApproval(duty.session_id, approval, given.header))
        except HeaderUsed:
            # Something between us and the gateway may have sent it twice: then the approval is there.
            return None if await self._has_approved(task.lane, duty) else self._spent(duty, header_used=True)
        return None

    @staticmethod
    def _spent(duty: ForwardApproval, *, header_used: bool = False) -> ApprovalSpent:
        return ApprovalSpent(
            attempt=duty.attempt,
            entry_id=duty.entry_id,
            session_id=duty.session_id,
            timestamp=UnixTime(duty.timestamp),
            header_used=header_used,
        )

    async def _has_approved(self, lane: Lane, duty: ForwardApproval) -> bool:
        """By the session's status: it lists approvals while it collects them, and goes on only with all of them."""
        access = await own_access(self._s, lane, duty.attempt)
        status = await self._s.keymeld.signing_status(access, duty.session_id)
        return duty.entry_id in status.approved or status.state in SIGNING


class CollectSignaturesExecutor:
    """Poll one session; every signature is verified before it counts."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[CollectSignatures]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        s, lane = self._s, task.lane
        batch = await stored_batch(s, lane.id, duty.session_id)
        items = await items_of_batch(s, lane, duty.attempt, duty.index)
        hung = f"session {duty.session_id}"
        try:
            outcome = await s.keymeld.signatures(await own_access(s, lane, duty.attempt), batch, items)
        except NotReady:
            return await self._still_waiting(task, duty)
        except (VerificationFailed, *GONE) as error:
            return Done([BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason=f"{hung}: {error}")])
        blob = await s.put_blob(b"".join(len(sig).to_bytes(1, "big") + sig for sig in outcome.signatures))
        status = await s.put_blob(outcome.raw)
        signed = BatchSigned(
            attempt=duty.attempt, session_id=duty.session_id, index=duty.index, blob=blob, status=status
        )
        return Done([signed])

    async def _still_waiting(self, task: Task[CollectSignatures], duty: CollectSignatures) -> Outcome:
        """A session that does not end while all have approved is hung after the terms' signature window."""
        begun = await self._s.pinned(task.id, "begun", lambda: str(self._s.clock.wall()).encode())
        if self._s.clock.wall() - int(begun) < task.lane.terms.schedule.closing.signatures:
            return Again(POLL_SECONDS)
        return Done([BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason="did not end in time")])
