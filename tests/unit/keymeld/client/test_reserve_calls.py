"""Reserving a keygen session: what is sent, which answers are refused, and what a repeat comes to."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.http import TransportError
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected
from coordinator.ports.keymeld import EnclaveKey, SessionTaken
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime
from tests.support.keymeld_answers import access, reservation, status


async def test_reserve_sends_the_manifest_and_equal_copies(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey]
) -> None:
    script.on("POST", "/keygen/reserve", reservation(keygen))
    reserved = await gateway.reserve(access(keygen), keygen.manifest, pinned)
    assert reserved.assignments == dict(keygen.recipients.user_enclave_assignments)
    assert reserved.coordinator_enclave == 7
    (seen,) = script.posts("/keygen/reserve")
    assert seen.headers["content-encoding"] == "gzip"
    manifest = seen.body["authorization_manifest"]["manifest"]
    assert seen.body["authorization_manifest"] == keygen.manifest.payload()
    for name in ("keygen_session_id", "coordinator_user_id", "timeout_secs", "max_signing_sessions"):
        assert seen.body[name] == manifest[name]
    assert set(seen.body["expected_participants"]) == set(manifest["participant_verifiers"])
    assert seen.body["subset_definitions"] == manifest["subset_definitions"]
    assert seen.body["encrypted_taproot_tweak"] == manifest["encrypted_taproot_tweak"]


async def test_small_bodies_and_old_gateways_get_plain_json(keygen: Any, script: Any) -> None:
    class Still:
        def now(self) -> UnixTime:
            return UnixTime(1_700_000_000)

    script.on("POST", "/keygen/reserve", reservation(keygen))
    pinned = [EnclaveKey(number, secret.public_key, 3, True, False) for number, secret in keygen.enclaves.items()]
    async with KeymeldGateway(
        "http://gateway", Still(), compress=False, transport=httpx.MockTransport(script)
    ) as plain:
        await plain.reserve(access(keygen), keygen.manifest, pinned)
    assert "content-encoding" not in script.posts("/keygen/reserve")[0].headers


@pytest.mark.parametrize(
    "changes",
    [
        {"keygen_session_id": "01890a5d-ac96-774b-bcce-ffffffffffff"},
        {"user_enclave_assignments": {}},
        {"coordinator_enclave_id": 1},
        {"coordinator_public_key": SecretKey.generate().public_key.hex()},
        {"coordinator_key_epoch": 4},
        {"expires_at": "soon"},
        {"coordinator_enclave_id": 99},
    ],
)
async def test_a_reservation_for_something_else_is_refused(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey], changes: dict[str, Any]
) -> None:
    script.on("POST", "/keygen/reserve", reservation(keygen, **changes))
    with pytest.raises(VerificationFailed) as caught:
        await gateway.reserve(access(keygen), keygen.manifest, pinned)
    assert caught.value.fault is Fault.SIGNER


async def test_an_assignment_to_an_enclave_that_is_not_pinned_is_refused(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey]
) -> None:
    moved = {**keygen.recipients.user_enclave_assignments, keygen.players[0]: 2}
    script.on("POST", "/keygen/reserve", reservation(keygen, user_enclave_assignments=moved))
    with pytest.raises(VerificationFailed, match="user_enclave_assignments"):
        await gateway.reserve(access(keygen), keygen.manifest, pinned)


async def test_a_coordinator_assigned_elsewhere_is_refused(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey]
) -> None:
    moved = {**keygen.recipients.user_enclave_assignments, keygen.coordinator: 1}
    script.on("POST", "/keygen/reserve", reservation(keygen, user_enclave_assignments=moved))
    with pytest.raises(VerificationFailed, match="coordinator_enclave_id"):
        await gateway.reserve(access(keygen), keygen.manifest, pinned)


async def test_a_session_initialized_before_is_read_back(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey], paths: Any, refuse: Any
) -> None:
    script.on("POST", "/keygen/reserve", refuse(400, "Keygen session already exists"))
    script.on("GET", paths["status"], status(keygen))
    reserved = await gateway.reserve(access(keygen), keygen.manifest, pinned)
    assert reserved.assignments == dict(keygen.recipients.user_enclave_assignments)


async def test_a_lost_reservation_needs_a_new_session(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey], paths: Any, refuse: Any
) -> None:
    script.on("POST", "/keygen/reserve", refuse(400, "Keygen session already exists"))
    script.on("GET", paths["status"], refuse(400, "Session is reserved but not yet initialized"))
    with pytest.raises(SessionTaken):
        await gateway.reserve(access(keygen), keygen.manifest, pinned)


@pytest.mark.parametrize("code", [400, 409])
async def test_a_session_of_another_manifest_is_taken(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: Any, paths: Any, refuse: Any, code: int
) -> None:
    script.on("POST", "/keygen/reserve", refuse(code, "Keygen session already exists" if code == 400 else "conflict"))
    other = keygen.credentials.sign_manifest(
        keygen_session_id=keygen.keygen_session_id,
        coordinator_user_id=keygen.coordinator,
        slot_keys=keygen.slot_keys,
        places=1,
    )
    script.on("GET", paths["status"], status(keygen))
    with pytest.raises(SessionTaken):
        await gateway.reserve(access(keygen), other, pinned)
    script.on("GET", paths["status"], status(keygen, recipient_authorization=None))
    with pytest.raises(SessionTaken):
        await gateway.reserve(access(keygen), keygen.manifest, pinned)


async def test_reserve_is_not_repeated(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey]
) -> None:
    script.on("POST", "/keygen/reserve", httpx.ReadTimeout("silent"), reservation(keygen))
    with pytest.raises(TransportError) as caught:
        await gateway.reserve(access(keygen), keygen.manifest, pinned)
    assert caught.value.sent
    assert len(script.posts("/keygen/reserve")) == 1


async def test_a_refused_manifest_is_our_fault(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey], refuse: Any
) -> None:
    script.on("POST", "/keygen/reserve", refuse(401, "Invalid manifest signature", "unauthorized"))
    with pytest.raises(Rejected) as caught:
        await gateway.reserve(access(keygen), keygen.manifest, pinned)
    assert (caught.value.fault, caught.value.remote_code) == (Fault.COORDINATOR, "unauthorized")
