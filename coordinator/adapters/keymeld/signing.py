"""The signing calls: sessions, approvals, results (keymeld sections 4.5 and 4.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from coordinator.adapters.keymeld.answers import from_gateway, read_signing_status
from coordinator.adapters.keymeld.connection import SERVICE, Connection, Refusal
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.keymeld import (
    ApprovalRefused,
    BatchOutcome,
    ForwardedApproval,
    HeaderUsed,
    NotReady,
    QuotaExceeded,
    SessionFailed,
    SessionGone,
    SessionTaken,
    SigningState,
    SigningStatus,
)
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.members import Members, decode_json
from coordinator_core.keymeld.results import EncryptedResult, open_signatures
from coordinator_core.musig2 import SigningItem
from coordinator_core.units import Seconds

SESSION_HEADER = "X-Session-Signature"
USER_HEADER = "X-User-Signature"
FIRST_PAUSE = 0.15
LONGEST_PAUSE = 2.0


class SigningCalls:
    """The signing half of the port."""

    _connection: Connection
    _parallel: asyncio.Semaphore
    _sleep: Callable[[float], Awaitable[object]]
    _monotonic: Callable[[], float]

    async def start_signing(self, user: UserAccess, batch: SignedBatch) -> None:
        """Open one signing session; opened before with the same ciphertexts: no effect."""
        body = _signing_body(user, batch)
        header = user.session.header(await self._connection.now())
        reply = await self._connection.post("/signing", body, {SESSION_HEADER: header})
        if reply.ok:
            return
        refusal = Refusal.of(reply)
        if refusal.says("already exists"):
            await self._require_same(user, batch, refusal)
            return
        kinds = {404: SessionGone}
        kind = QuotaExceeded if refusal.says("quota") else kinds.get(refusal.status)
        raise refusal.rejected(fault=Fault.COORDINATOR) if kind is None else _of(kind, refusal)

    async def start_batches(self, user: UserAccess, batches: Sequence[SignedBatch]) -> None:
        """Open several sessions, a bounded number at a time."""

        async def start(batch: SignedBatch) -> None:
            async with self._parallel:
                await self.start_signing(user, batch)

        results = await asyncio.gather(*(start(batch) for batch in batches), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def signing_status(self, user: UserAccess, signing_session_id: str) -> SigningStatus:
        """One signing session, read with the user's own header."""
        path = f"/signing/{signing_session_id}/status/{user.user_id}"
        reply = await self._connection.get(path, (USER_HEADER, lambda at: user.header(signing_session_id, at)))
        if reply.ok:
            return read_signing_status(reply.json(), reply.body, signing_session_id)
        refusal = Refusal.of(reply)
        if refusal.says("not ready"):
            raise NotReady(SERVICE, refusal.message, fault=Fault.SIGNER)
        if refusal.status == 404:
            raise _of(SessionGone, refusal)
        raise _of(SessionFailed, refusal) if refusal.says("failed session") else refusal.rejected()

    async def approve(self, forwarded: ForwardedApproval) -> None:
        """Hand a player's approval over, once."""
        approval = forwarded.approval
        path = f"/signing/{forwarded.signing_session_id}/approve/{approval.user_id}"
        headers = {USER_HEADER: forwarded.user_signature}
        reply = await self._connection.post(path, approval.payload(), headers)
        if reply.ok:
            return
        refusal = Refusal.of(reply)
        if refusal.says("not ready"):
            raise NotReady(SERVICE, refusal.message, fault=Fault.SIGNER)
        if refusal.says("already used"):
            raise _of(HeaderUsed, refusal, fault=Fault.PLAYER)
        raise _of(SessionGone if refusal.status == 404 else ApprovalRefused, refusal)

    async def signatures(self, user: UserAccess, batch: SignedBatch, items: Sequence[SigningItem]) -> BatchOutcome:
        """The verified signatures of a completed session."""
        status = await self.signing_status(user, batch.signing_session_id)
        if status.state is SigningState.FAILED:
            raise SessionFailed(SERVICE, "the signing session failed", fault=Fault.SIGNER)
        if status.items != batch.items:
            raise VerificationFailed("keymeld batch_items", "are not the batch's", fault=Fault.SIGNER)
        if status.state is not SigningState.COMPLETED:
            raise NotReady(SERVICE, f"the session is {status.state}", fault=Fault.SIGNER)
        with from_gateway("batch results"):
            answer = Members(decode_json(status.raw, "status"), "status", ("batch_results",), only=False)
            results = EncryptedResult.read_all(answer.raw("batch_results"))
        signatures = open_signatures(user.session.session_secret, batch, results, items)
        return BatchOutcome(batch.signing_session_id, signatures, status.raw)

    async def await_signatures(
        self,
        user: UserAccess,
        batches: Sequence[tuple[SignedBatch, Sequence[SigningItem]]],
        *,
        within: Seconds,
    ) -> tuple[BatchOutcome, ...]:
        """Wait for several sessions at most `within` seconds in all: one outcome a batch, in order."""
        deadline = self._monotonic() + within
        waiting = (self._await_one(user, batch, items, deadline) for batch, items in batches)
        return tuple(await asyncio.gather(*waiting))

    async def _await_one(
        self, user: UserAccess, batch: SignedBatch, items: Sequence[SigningItem], deadline: float
    ) -> BatchOutcome:
        pause, last = FIRST_PAUSE, "no answer"
        while True:
            try:
                async with self._parallel:
                    return await self.signatures(user, batch, items)
            except Unreachable as error:
                last = error.reason
            except (Rejected, VerificationFailed) as error:
                return BatchOutcome(batch.signing_session_id, error=error)
            if self._monotonic() + pause > deadline:
                hung = NotReady(SERVICE, f"did not end in time: {last}", fault=Fault.SIGNER)
                return BatchOutcome(batch.signing_session_id, error=hung)
            await self._sleep(pause)
            pause = min(LONGEST_PAUSE, 1.5 * pause)

    async def _require_same(self, user: UserAccess, batch: SignedBatch, refusal: Refusal) -> None:
        try:
            status = await self.signing_status(user, batch.signing_session_id)
        except SessionGone as error:
            raise _of(SessionTaken, refusal) from error
        if status.items != batch.items:
            raise _of(SessionTaken, refusal)


def _of(kind: Callable[..., Rejected], refusal: Refusal, *, fault: Fault = Fault.SIGNER) -> Rejected:
    return kind(SERVICE, f"{refusal.status} {refusal.message}", fault=fault, remote_code=refusal.kind)


def _signing_body(user: UserAccess, batch: SignedBatch) -> dict[str, object]:
    secret = user.session.session_secret
    return {
        "signing_authorization": {
            "timeout_secs": batch.timeout_secs,
            "signature": list(batch.signature),
        },
        "signing_session_id": batch.signing_session_id,
        "keygen_session_id": batch.keygen_session_id,
        "timeout_secs": batch.timeout_secs,
        "batch_items": [item.wire(item.decrypt(secret).message) for item in batch.items],
    }
