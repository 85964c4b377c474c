"""Registering a player's sealed key, and whose fault it is when that is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected
from coordinator.ports.keymeld import EnclaveChanged, RegistrationRefused, SessionFailed, SessionGone, SlotTaken
from coordinator_core.errors import Fault
from coordinator_core.keymeld.request_auth import session_scope
from coordinator_core.secp256k1 import SecretKey
from tests.support.keymeld_answers import GATEWAY_TIME, access, completed, slots, status


async def register(gateway: KeymeldGateway, keygen: Any) -> None:
    await gateway.register(access(keygen), keygen.registrations[keygen.players[0]])


async def test_register_sends_envelope_and_header(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any
) -> None:
    user = keygen.players[0]
    sealed = keygen.registrations[user]
    script.on("POST", paths["participants"], httpx.Response(200, json={"participants_registered": 2}))
    await gateway.register(access(keygen), sealed)
    await gateway.register(access(keygen), sealed)
    first, second = script.posts(paths["participants"])
    assert first.body == second.body
    assert first.headers["x-session-signature"] != second.headers["x-session-signature"]
    proof = session_scope(keygen.keygen_session_id).verify(
        first.headers["x-session-signature"], keygen.manifest.manifest.session_public_key
    )
    assert proof.timestamp == GATEWAY_TIME
    context = sealed.authorization.context
    assert first.body["registration_authorization"] == sealed.authorization.payload()
    assert first.body["encrypted_private_key"] == sealed.ciphertext.hex()
    assert first.body["enclave_public_key"] == keygen.enclaves[context.enclave_id].public_key.hex()
    assert first.body["auth_pubkey"] == list(context.auth_pubkey)
    assert first.body["public_key"] == list(context.public_key)
    assert first.body["enclave_key_epoch"] == 3
    assert first.body["require_signing_approval"] is True


async def test_a_refused_envelope_is_the_players_fault(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(400, "Enclave rejected registration: proof"))
    with pytest.raises(RegistrationRefused) as caught:
        await register(gateway, keygen)
    assert caught.value.fault is Fault.PLAYER


@pytest.mark.parametrize(
    ("code", "kind", "fault"), [(404, SessionGone, Fault.SIGNER), (401, Rejected, Fault.COORDINATOR)]
)
async def test_a_registration_that_is_not_the_players_fault(
    gateway: KeymeldGateway,
    keygen: Any,
    script: Any,
    paths: Any,
    pinned: Any,
    refuse: Any,
    code: int,
    kind: Any,
    fault: Fault,
) -> None:
    script.on("POST", paths["participants"], refuse(code, "words"))
    with pytest.raises(Rejected) as caught:
        await register(gateway, keygen)
    assert (type(caught.value), caught.value.fault) == (kind, fault)


@pytest.mark.parametrize("change", ["epoch", "key"])
async def test_a_changed_enclave_is_nobodys_fault_among_players(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any, change: str
) -> None:
    script.on("POST", paths["participants"], refuse(400, "some words"))
    key = keygen.enclaves[1] if change == "epoch" else SecretKey.generate()
    script.enclave(1, key.public_key.hex(), epoch=4 if change == "epoch" else 3)
    with pytest.raises(EnclaveChanged) as caught:
        await register(gateway, keygen)
    assert caught.value.fault is Fault.SIGNER


async def test_a_slot_claimed_by_another_registration(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "Participant slot is already claimed", "conflict"))
    script.on("GET", paths["status"], status(keygen))
    script.on("GET", paths["slots"], slots(keygen, (keygen.players[0],)))
    with pytest.raises(SlotTaken):
        await register(gateway, keygen)


async def test_the_last_registration_whose_answer_was_lost(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "not accepting new participants", "conflict"))
    script.on("GET", paths["status"], completed(keygen))
    script.on("GET", paths["slots"], slots(keygen, tuple(keygen.keys)))
    await register(gateway, keygen)
    assert len(script.posts(paths["participants"])) == 1
    assert script.seen[-1].path == f"/api/v1{paths['slots']}"


async def test_a_session_that_expired_while_collecting(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "session expired", "conflict"))
    script.on("GET", paths["status"], status(keygen))
    script.on("GET", paths["slots"], slots(keygen, ()))
    with pytest.raises(SessionGone):
        await register(gateway, keygen)


async def test_a_failed_keygen_takes_no_keys_and_has_no_roster(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "not accepting new participants", "conflict"))
    script.on("GET", paths["status"], refuse(400, "Cannot get status for failed session"))
    with pytest.raises(SessionFailed):
        await register(gateway, keygen)
    with pytest.raises(SessionFailed):
        await gateway.roster(access(keygen), keygen.expectation())
