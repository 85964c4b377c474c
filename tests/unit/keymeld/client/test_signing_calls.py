from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from coordinator.adapters.budget import RequestBudget
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected, Unreachable
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
from coordinator_core.errors import InvalidSignature, VerificationFailed
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.plan import fresh_id, plan_batches
from coordinator_core.keymeld.request_auth import session_scope, user_scope
from coordinator_core.musig2 import SigningItem, SoloSigner
from coordinator_core.units import Seconds, UnixTime

GATEWAY_TIME = UnixTime(1_700_000_500)


class Session:
    """One signing session over a contract's items, and the answers a gateway gives about it."""

    def __init__(self, keygen: Any) -> None:
        self.keygen = keygen
        self.secret = keygen.credentials.session_secret
        self.user = keygen.user(keygen.coordinator)
        self.items: list[SigningItem] = keygen.contract_items()
        (self.plain,) = plan_batches(self.items, keygen.verified())
        encrypted = [EncryptedItem.encrypt(item, self.secret) for item in self.plain]
        self.batch = SignedBatch.sign(
            keygen.keygen_session_id, fresh_id(), Seconds(7200), encrypted, keygen.credentials.creator_key
        )
        self.id = self.batch.signing_session_id
        self.path = f"/signing/{self.id}/status/{keygen.coordinator}"
        self.signatures = SoloSigner(list(keygen.keys.values())).sign(self.items)

    def status(self, state: str, **changes: Any) -> httpx.Response:
        items = zip(self.batch.items, self.plain, strict=True)
        body = {
            "signing_session_id": self.id,
            "keygen_session_id": self.keygen.keygen_session_id,
            "status": state,
            "participants_registered": 4,
            "expected_participants": 4,
            "expires_at": GATEWAY_TIME + 7200,
            "participants_requiring_approval": list(self.keygen.players),
            "approved_participants": [self.keygen.players[0]],
            "batch_items": [encrypted.wire(plain.message) for encrypted, plain in items],
            "batch_results": [],
        }
        return httpx.Response(200, json={**body, **changes})

    def completed(self, signatures: list[bytes] | None = None) -> httpx.Response:
        chosen = signatures or self.signatures
        results = [self.result(index, signature) for index, signature in enumerate(chosen)]
        return self.status("completed", batch_results=results[::-1])

    def result(self, index: int, signature: bytes) -> dict[str, Any]:
        item = self.plain[index]
        result: dict[str, Any] = {"batch_item_id": item.batch_item_id, "error": None}
        if item.adaptor is None:
            text = encrypt_field(self.secret, Context.SIGNATURE, signature)
            return {**result, "signature": text, "adaptor_signatures": None}
        name, point = item.adaptor.adaptor_id, list(item.adaptor.point)
        entry = {
            "adaptor_id": name,
            "adaptor_type": "Single",
            "signature_scalar": list(signature),
            "nonce_point": [2] * 66,
            "adaptor_points": [point],
            "hints": None,
            "aggregate_adaptor_point": point,
        }
        text = encrypt_field(self.secret, Context.ADAPTOR_SIGNATURES, json.dumps({name: entry}).encode())
        return {**result, "signature": None, "adaptor_signatures": text}


@pytest.fixture
def session(keygen: Any) -> Session:
    return Session(keygen)


async def test_start_signing_sends_the_signed_batch(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    script.on("POST", "/signing", httpx.Response(200, json={"status": "collecting_participants"}))
    await gateway.start_signing(session.user, session.batch)
    (seen,) = script.posts("/signing")
    assert seen.headers["content-encoding"] == "gzip"
    session_scope(session.keygen.keygen_session_id).verify(
        seen.headers["x-session-signature"], session.keygen.manifest.manifest.session_public_key
    )
    body = seen.body
    assert body["signing_authorization"] == {"timeout_secs": 7200, "signature": list(session.batch.signature)}
    assert (body["signing_session_id"], body["timeout_secs"]) == (session.id, 7200)
    assert body["keygen_session_id"] == session.keygen.keygen_session_id
    sent = tuple(EncryptedItem.from_wire(item, "item") for item in body["batch_items"])
    assert sent == session.batch.items
    assert body["batch_items"][0]["message_hash"] == list(session.items[0].message)
    assert [item["signing_mode"]["type"] for item in body["batch_items"][3:5]] == ["adaptor", "regular"]


async def test_a_session_opened_before_has_no_effect(
    gateway: KeymeldGateway, session: Session, script: Any, refuse: Any
) -> None:
    script.on("POST", "/signing", refuse(400, "Signing session already exists"))
    script.on("GET", session.path, session.status("collecting_participants"))
    await gateway.start_signing(session.user, session.batch)
    assert len(script.posts("/signing")) == 1
    assert script.seen[-1].path == f"/api/v1{session.path}"


async def test_a_session_of_another_batch_is_taken(
    gateway: KeymeldGateway, session: Session, script: Any, refuse: Any
) -> None:
    script.on("POST", "/signing", refuse(400, "Signing session already exists"))
    other = session.status("collecting_participants", batch_items=[])
    script.on("GET", session.path, other, refuse(404, "not found", "not_found"))
    for _ in range(2):
        with pytest.raises(SessionTaken):
            await gateway.start_signing(session.user, session.batch)


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "Quota exceeded: maximum 4 signing sessions allowed per keygen session", QuotaExceeded),
        (404, "Session not found", SessionGone),
        (401, "Invalid batch signature", Rejected),
        (503, "Enclave communication failed", Unreachable),
    ],
)
async def test_refused_sessions(
    gateway: KeymeldGateway, session: Session, script: Any, refuse: Any, status: int, message: str, error: Any
) -> None:
    script.on("POST", "/signing", refuse(status, message))
    with pytest.raises(error):
        await gateway.start_signing(session.user, session.batch)
    assert len(script.posts("/signing")) == 1


async def test_several_sessions_are_opened_together(
    gateway: KeymeldGateway, session: Session, script: Any, refuse: Any
) -> None:
    others = [
        SignedBatch.sign(
            session.keygen.keygen_session_id,
            fresh_id(),
            Seconds(7200),
            session.batch.items,
            session.keygen.credentials.creator_key,
        )
        for _ in range(10)
    ]
    script.on("POST", "/signing", httpx.Response(200, json={}))
    await gateway.start_batches(session.user, others)
    opened = {seen.body["signing_session_id"] for seen in script.posts("/signing")}
    assert opened == {batch.signing_session_id for batch in others}
    script.on("POST", "/signing", httpx.Response(200, json={}), refuse(400, "Quota exceeded: maximum 1"))
    with pytest.raises(QuotaExceeded):
        await gateway.start_batches(session.user, others)


async def test_a_status_shows_the_batch_and_who_approved(
    gateway: KeymeldGateway, session: Session, script: Any
) -> None:
    answer = session.status("collecting_participants")
    script.on("GET", session.path, answer)
    status = await gateway.signing_status(session.user, session.id)
    assert status.state is SigningState.COLLECTING
    assert status.items == session.batch.items
    assert status.requiring_approval == session.keygen.players
    assert status.approved == session.keygen.players[:1]
    assert status.raw == answer.content
    seen = script.posts(session.path)[-1]
    proof = user_scope(session.id, session.user.user_id).verify(
        seen.headers["x-user-signature"], session.user.auth_key.public_key
    )
    assert proof.timestamp == GATEWAY_TIME


async def test_status_refusals(gateway: KeymeldGateway, session: Session, script: Any, refuse: Any) -> None:
    script.on(
        "GET",
        session.path,
        refuse(404, "Signing session not ready - session initialization still in progress", "not_found"),
        refuse(404, "Session not found", "not_found"),
        refuse(400, "Cannot get status for failed session"),
        session.status("collecting_participants", signing_session_id=session.keygen.keygen_session_id),
    )
    for error in (NotReady, SessionGone, SessionFailed, VerificationFailed):
        with pytest.raises(error):
            await gateway.signing_status(session.user, session.id)


def forwarded(session: Session, player: int = 0) -> ForwardedApproval:
    user = session.keygen.user(session.keygen.players[player])
    approval = ParticipantApproval.sign(user, session.id, session.batch.items, GATEWAY_TIME)
    return ForwardedApproval(session.id, approval, user.header(session.id, GATEWAY_TIME))


async def test_an_approval_is_forwarded_as_it_came(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    sent = forwarded(session)
    path = f"/signing/{session.id}/approve/{sent.approval.user_id}"
    script.on("POST", path, httpx.Response(200))
    await gateway.approve(sent)
    (seen,) = script.posts(path)
    assert seen.body == sent.approval.payload()
    assert seen.headers["x-user-signature"] == sent.user_signature


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (404, "Signing session not ready - session initialization still in progress", NotReady),
        (404, "Session not found", SessionGone),
        (401, "Authentication proof already used", HeaderUsed),
        (400, "Approval expired", ApprovalRefused),
        (500, "Internal server error", Unreachable),
        (429, "rate limited", Unreachable),
    ],
)
async def test_an_approval_is_never_sent_twice(
    gateway: KeymeldGateway, session: Session, script: Any, refuse: Any, status: int, message: str, error: Any
) -> None:
    sent = forwarded(session)
    path = f"/signing/{session.id}/approve/{sent.approval.user_id}"
    script.on("POST", path, refuse(status, message))
    with pytest.raises(error):
        await gateway.approve(sent)
    assert len(script.posts(path)) == 1


async def test_signatures_of_a_completed_session(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    answer = session.completed()
    script.on("GET", session.path, session.status("finalizing_signature"), answer)
    with pytest.raises(NotReady):
        await gateway.signatures(session.user, session.batch, session.items)
    outcome = await gateway.signatures(session.user, session.batch, session.items)
    assert list(outcome.signatures) == session.signatures
    assert (outcome.raw, outcome.error) == (answer.content, None)


async def test_a_wrong_signature_is_named(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    bad = list(session.signatures)
    bad[6] = bytes(64)
    script.on("GET", session.path, session.completed(bad))
    with pytest.raises(InvalidSignature) as caught:
        await gateway.signatures(session.user, session.batch, session.items)
    assert caught.value.index == 6


async def test_a_session_over_other_items_gives_nothing(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    body = json.loads(session.completed().content)
    body["batch_items"] = body["batch_items"][::-1]
    script.on("GET", session.path, httpx.Response(200, json=body))
    with pytest.raises(VerificationFailed, match="are not the batch's"):
        await gateway.signatures(session.user, session.batch, session.items)


async def test_waiting_ends_with_signatures(gateway: KeymeldGateway, session: Session, script: Any) -> None:
    script.on(
        "GET",
        session.path,
        session.status("initializing_session"),
        httpx.ConnectError("away"),
        session.status("distributing_nonces"),
        session.completed(),
    )
    (outcome,) = await gateway.await_signatures(session.user, [(session.batch, session.items)], within=Seconds(30))
    assert list(outcome.signatures) == session.signatures


async def test_waiting_ends_by_the_clock_that_was_handed_in(session: Session, script: Any) -> None:
    script.on("GET", session.path, session.status("distributing_nonces"))
    at = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal at
        at += seconds

    class Still:
        def now(self) -> UnixTime:
            return GATEWAY_TIME

    async with KeymeldGateway(
        *("http://gateway", Still()),
        transport=httpx.MockTransport(script),
        budget=RequestBudget(1e6, burst=1000),
        sleep=sleep,
        monotonic=lambda: at,
    ) as gateway:
        (outcome,) = await gateway.await_signatures(session.user, [(session.batch, session.items)], within=Seconds(30))
    assert isinstance(outcome.error, NotReady)
    assert 28.0 < at <= 30.0


async def test_waiting_tells_the_failed_from_the_hung(
    gateway: KeymeldGateway, session: Session, script: Any, keygen: Any
) -> None:
    hung, failed, forged = Session(keygen), Session(keygen), Session(keygen)
    script.on("GET", session.path, session.completed())
    script.on("GET", hung.path, hung.status("distributing_nonces"))
    script.on("GET", failed.path, failed.status("failed"))
    script.on("GET", forged.path, forged.completed([bytes(65)] * 4 + forged.signatures[4:]))
    sessions = (session, hung, failed, forged)
    outcomes = await gateway.await_signatures(
        session.user, [(each.batch, each.items) for each in sessions], within=Seconds(0)
    )
    assert [outcome.signing_session_id for outcome in outcomes] == [each.id for each in sessions]
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), NotReady, SessionFailed, InvalidSignature]
    assert [len(outcome.signatures) for outcome in outcomes] == [14, 0, 0, 0]
