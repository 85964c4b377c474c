"""The contract of ports.keymeld, on the HTTP adapter against a gateway process."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected
from coordinator.ports.keymeld import (
    ApprovalRefused,
    EnclaveChanged,
    ForwardedApproval,
    HeaderUsed,
    KeygenState,
    NotReady,
    QuotaExceeded,
    RegistrationRefused,
    SessionGone,
    SessionTaken,
    SigningState,
    SlotTaken,
)
from coordinator_core.errors import InvalidSignature
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.audit import BatchRefused
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.plan import fresh_id, plan_batches
from coordinator_core.keymeld.registration import RegistrationAuthorization, SealedRegistration
from coordinator_core.keymeld.results import EncryptedResult
from coordinator_core.musig2 import SigningItem, adapt, verify
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.units import Seconds, UnixTime


async def test_enclaves_and_time(gateway: KeymeldGateway) -> None:
    enclaves = await gateway.enclaves()
    assert len(enclaves) >= 2
    assert len({enclave.public_key for enclave in enclaves}) == len(enclaves)
    assert not any(enclave.attested for enclave in enclaves)
    assert await gateway.gateway_time() > 1_700_000_000


async def test_a_contract_is_signed(attempt: Any) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)
    (outcome,) = await attempt.sign(attempt.batches(items, roster), roster)
    assert outcome.error is None
    assert [len(signature) for signature in outcome.signatures] == [65] * 4 + [64] * 10
    for item, signature in zip(items, outcome.signatures, strict=True):
        verify(item, signature)


async def test_an_adaptor_signature_is_completed_with_its_secret(attempt: Any) -> None:
    roster = await attempt.complete()
    secret = SecretKey.generate()
    item = SigningItem(roster.key_set, sha256(b"outcome"), secret.public_key)
    (outcome,) = await attempt.sign(attempt.batches([item], roster), roster)
    assert (outcome.error, len(outcome.signatures)) == (None, 1)
    verify(SigningItem(roster.key_set, item.message), adapt(outcome.signatures[0], secret.reveal()))


async def test_many_items_are_signed_in_parallel_sessions(attempt: Any) -> None:
    roster = await attempt.complete()
    # One place has one batch; two more use up what its quota leaves for spare sessions.
    items = attempt.items(roster, extra=220)
    batches = attempt.batches(items, roster)
    assert len(batches) == 3
    outcomes = await attempt.sign(batches, roster)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sum(len(outcome.signatures) for outcome in outcomes) == len(items)


async def test_what_the_gateway_can_do(gateway: KeymeldGateway) -> None:
    can = await gateway.capabilities()
    assert can.version
    assert can.limits is not None
    assert (can.limits.subsets, can.limits.signing_sessions, can.limits.batch_items) == (200, 100, 100)
    assert can.limits.seconds == 86_400
    assert not {"service_participation", "user_authentication"} & set(can.lacks)


async def test_every_call_may_be_repeated(attempt: Any, gateway: KeymeldGateway) -> None:
    await attempt.open()
    reservation = await gateway.reserve(attempt.session, attempt.manifest, attempt.pinned)
    assert reservation.assignments == dict(attempt.recipients.user_enclave_assignments)
    await gateway.initialize(attempt.session, attempt.manifest, attempt.initialization)
    await gateway.register(attempt.session, attempt.registered[attempt.coordinator])
    for player in attempt.players:
        await attempt.join(player)
    await gateway.register(attempt.session, attempt.registered[attempt.players[-1]])
    roster = await completed(attempt, gateway)
    await gateway.register(attempt.session, attempt.registered[attempt.players[0]])
    ((batch, _),) = attempt.batches(attempt.items(roster), roster)
    own = attempt.user(attempt.coordinator)
    await gateway.start_signing(own, batch)
    await gateway.start_signing(own, batch)


async def completed(attempt: Any, gateway: KeymeldGateway) -> Any:
    while True:
        try:
            return await gateway.roster(attempt.session, attempt.expectation(attempt.coordinator))
        except NotReady:
            continue


async def test_a_session_id_is_used_once(attempt: Any, gateway: KeymeldGateway) -> None:
    pinned = await gateway.enclaves()
    await gateway.reserve(attempt.session, attempt.manifest, pinned)
    assert (await gateway.keygen_status(attempt.session)).state is KeygenState.RESERVED
    with pytest.raises(SessionTaken):
        await gateway.reserve(attempt.session, attempt.manifest, pinned)


async def test_progress_of_a_keygen(attempt: Any, gateway: KeymeldGateway) -> None:
    await attempt.open()
    await attempt.join(attempt.players[1])
    status = await gateway.keygen_status(attempt.session)
    assert (status.state, status.registered, status.expected) == (KeygenState.COLLECTING, 2, 4)
    assert (status.manifest, status.recipients) == (attempt.manifest, attempt.recipients)
    slots = await gateway.slots(attempt.session)
    assert {slot.user_id: slot.enclave_id for slot in slots} == dict(attempt.recipients.user_enclave_assignments)
    claimed = {slot.user_id for slot in slots if slot.claimed}
    assert claimed == {attempt.coordinator, attempt.players[1]}
    with pytest.raises(NotReady):
        await gateway.roster(attempt.session, attempt.expectation(attempt.coordinator))


async def test_an_unknown_session_is_gone(attempt: Any, gateway: KeymeldGateway) -> None:
    with pytest.raises(SessionGone):
        await gateway.keygen_status(attempt.session)
    with pytest.raises(SessionGone):
        await gateway.signing_status(attempt.user(attempt.coordinator), fresh_id())


async def test_a_slot_is_claimed_once(attempt: Any, gateway: KeymeldGateway) -> None:
    await attempt.open()
    await attempt.join(attempt.players[0])
    with pytest.raises(SlotTaken):
        await gateway.register(attempt.session, attempt.seal(attempt.players[0]))


async def test_a_bad_envelope_is_refused_at_once(attempt: Any, gateway: KeymeldGateway) -> None:
    await attempt.open()
    player = attempt.players[0]
    sealed = attempt.seal(player)
    garbage = sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1])
    authorization = RegistrationAuthorization.sign(sealed.authorization.context, garbage, attempt.slots[player])
    with pytest.raises(RegistrationRefused):
        await gateway.register(attempt.session, SealedRegistration(authorization, garbage, sealed.enclave_public_key))
    await attempt.join(player)


async def test_a_session_waits_for_every_player(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)
    ((batch, _),) = attempt.batches(items, roster)
    own = attempt.user(attempt.coordinator)
    await gateway.start_signing(own, batch)
    sessions = {batch.signing_session_id: None}
    for player in attempt.players[:2]:
        await attempt.approve(player, sessions, expected=items, roster=roster)
    status = await gateway.signing_status(own, batch.signing_session_id)
    assert status.state is SigningState.COLLECTING
    assert set(status.requiring_approval) == set(attempt.players)
    assert set(status.approved) == set(attempt.players[:2])
    with pytest.raises(NotReady):
        await gateway.signatures(own, batch, items)


async def test_an_approval_of_another_batch_is_refused(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)
    ((batch, _),) = attempt.batches(items, roster)
    await gateway.start_signing(attempt.user(attempt.coordinator), batch)
    player = attempt.user(attempt.players[0])
    session = batch.signing_session_id
    await attempt.read(attempt.players[0], {session: None})
    now = await gateway.gateway_time()
    cases = {
        "other items": ParticipantApproval.sign(player, session, batch.items[:-1], now),
        "other session": ParticipantApproval.sign(player, fresh_id(), batch.items, now),
        "stale": ParticipantApproval.sign(player, session, batch.items, UnixTime(now - 400)),
    }
    for approval in cases.values():
        with pytest.raises(ApprovalRefused):
            await gateway.approve(ForwardedApproval(session, approval, player.header(session, now)))
    status = await gateway.signing_status(player, session)
    assert status.approved == ()


async def test_a_header_works_once(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    ((batch, _),) = attempt.batches(attempt.items(roster), roster)
    await gateway.start_signing(attempt.user(attempt.coordinator), batch)
    player = attempt.user(attempt.players[0])
    await attempt.read(attempt.players[0], {batch.signing_session_id: None})
    now = await gateway.gateway_time()
    approval = ParticipantApproval.sign(player, batch.signing_session_id, batch.items, now)
    sent = ForwardedApproval(batch.signing_session_id, approval, player.header(batch.signing_session_id, now))
    await gateway.approve(sent)
    with pytest.raises(HeaderUsed):
        await gateway.approve(sent)


async def test_a_player_refuses_a_batch_that_is_not_the_contract(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)
    theft = [*items[:-1], SigningItem(roster.key_set, sha256(b"theft"))]
    ((batch, _),) = attempt.batches(theft, roster)
    await gateway.start_signing(attempt.user(attempt.coordinator), batch)
    with pytest.raises(BatchRefused):
        await attempt.approve(attempt.players[0], {batch.signing_session_id: None}, expected=items, roster=roster)


@pytest.mark.parametrize(("kind", "error"), [("silent", NotReady), ("bad_signature", InvalidSignature)])
async def test_a_spare_session_replaces_one_that_failed(
    attempt: Any, gateway: KeymeldGateway, server: Any, kind: str, error: type[Exception]
) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)
    ((batch, _),) = attempt.batches(items, roster)
    server.fault(kind=kind, operation="signing", session_id=batch.signing_session_id)
    (failed,) = await attempt.sign([(batch, items)], roster, within=2)
    assert isinstance(failed.error, error)
    assert failed.signatures == ()
    server.clear()
    spare = attempt.sign_batch(batch.items)
    own = attempt.user(attempt.coordinator)
    await gateway.start_signing(own, spare)
    sessions = {batch.signing_session_id: None, spare.signing_session_id: batch.signing_session_id}
    for player in attempt.players:
        await attempt.approve(player, sessions, expected=items, roster=roster, only={spare.signing_session_id})
    (outcome,) = await gateway.await_signatures(own, [(spare, items)], within=Seconds(30))
    assert outcome.error is None
    assert len(outcome.signatures) == len(items)


async def test_the_quota_ends_spare_sessions(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    own = attempt.user(attempt.coordinator)
    ((batch, _),) = attempt.batches(attempt.items(roster), roster)
    quota = attempt.manifest.manifest.max_signing_sessions
    for _ in range(quota):
        await gateway.start_signing(own, attempt.sign_batch(batch.items))
    with pytest.raises(QuotaExceeded):
        await gateway.start_signing(own, attempt.sign_batch(batch.items))


async def test_only_the_signing_key_opens_sessions(attempt: Any, gateway: KeymeldGateway) -> None:
    roster = await attempt.complete()
    ((batch, _),) = attempt.batches(attempt.items(roster), roster)
    attempt.credentials.creator_key = SecretKey.generate()
    with pytest.raises(Rejected):
        await gateway.start_signing(attempt.user(attempt.coordinator), attempt.sign_batch(batch.items))


async def test_a_restarted_enclave_ends_the_attempt(attempt: Any, server: Any, gateway: KeymeldGateway) -> None:
    await attempt.open()
    player = attempt.players[0]
    sealed = attempt.seal(player)
    enclave = attempt.recipients.user_enclave_assignments[player]
    server.fault(kind="restart", enclave_id=enclave)
    with pytest.raises(EnclaveChanged):
        await gateway.register(attempt.session, sealed)


async def test_items_under_a_subset_are_signed_by_its_members_only(attempt: Any) -> None:
    roster = await attempt.complete()
    items = attempt.items(roster)[4:7]
    (outcome,) = await attempt.sign(attempt.batches(items, roster), roster)
    for item, signature in zip(items, outcome.signatures, strict=True):
        assert len(item.key_set.members) == 2
        verify(item, signature)


async def test_the_archived_status_opens_again(attempt: Any) -> None:
    import json

    roster = await attempt.complete()
    items = attempt.items(roster)
    ((batch, _),) = attempt.batches(items, roster)
    (outcome,) = await attempt.sign([(batch, items)], roster)
    body = json.loads(outcome.raw)
    assert len(EncryptedResult.read_all(body["batch_results"])) == len(items)
    secret = attempt.credentials.session_secret
    read = [EncryptedItem.from_wire(item, "item").decrypt(secret).message for item in body["batch_items"]]
    assert read == [item.message for item in items]
    assert len(plan_batches(items, roster)) == 1
