from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.http import TransportError
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.keymeld import (
    EnclaveChanged,
    EnclaveKey,
    KeygenState,
    NotReady,
    RegistrationRefused,
    SessionFailed,
    SessionGone,
    SessionTaken,
    SlotTaken,
)
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.request_auth import session_scope
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

GATEWAY_TIME = 1_700_000_500


@pytest.fixture
def paths(keygen: Any) -> dict[str, str]:
    base = f"/keygen/{keygen.keygen_session_id}"
    return {name: f"{base}/{name}" for name in ("initialize", "participants", "status", "slots")}


@pytest.fixture
def pinned(keygen: Any, script: Any) -> list[EnclaveKey]:
    for number, secret in keygen.enclaves.items():
        script.enclave(number, secret.public_key.hex())
    script.on("GET", "/enclaves", script.listed(7, 1))
    return [EnclaveKey(number, secret.public_key, 3, True, False) for number, secret in keygen.enclaves.items()]


def access(keygen: Any) -> Any:
    return keygen.credentials.access(keygen.keygen_session_id)


def reservation(keygen: Any, **changes: Any) -> httpx.Response:
    body = {
        "keygen_session_id": keygen.keygen_session_id,
        "user_enclave_assignments": dict(keygen.recipients.user_enclave_assignments),
        "coordinator_enclave_id": 7,
        "coordinator_public_key": keygen.enclaves[7].public_key.hex(),
        "coordinator_key_epoch": 3,
        "expected_participants": 4,
        "expires_at": GATEWAY_TIME + 86_400,
    }
    return httpx.Response(200, json={**body, **changes})


def status(keygen: Any, state: str = "collecting_participants", **changes: Any) -> httpx.Response:
    body = {
        "keygen_session_id": keygen.keygen_session_id,
        "status": state,
        "expected_participants": 4,
        "registered_participants": 1,
        "aggregate_public_key": None,
        "expires_at": 0,
        "encrypted_subset_aggregates": {},
        "recipient_authorization": keygen.recipients.payload(),
        "authorization_manifest": keygen.manifest.payload(),
        "encrypted_roster": None,
    }
    return httpx.Response(200, json={**body, **changes})


def completed(keygen: Any) -> httpx.Response:
    fields = keygen.encrypted_status()
    return status(
        keygen,
        "completed",
        registered_participants=4,
        encrypted_roster=fields["encrypted_roster"],
        aggregate_public_key=fields["encrypted_aggregate"],
        encrypted_subset_aggregates=fields["encrypted_subset_aggregates"],
    )


def slots(keygen: Any, claimed: tuple[str, ...]) -> httpx.Response:
    users = sorted(keygen.keys, reverse=True)
    entries = [
        {"user_id": user, "enclave_id": 7, "signer_index": index, "claimed": user in claimed}
        for index, user in enumerate(users)
    ]
    body = {"session_id": keygen.keygen_session_id, "available_slots": entries}
    return httpx.Response(200, json={**body, "total_slots": 4, "claimed_slots": len(claimed)})


def opening(keygen: Any) -> Initialization:
    return Initialization.sign(
        keygen.manifest,
        keygen.recipients,
        session_secret=keygen.credentials.session_secret,
        coordinator_pubkey=keygen.keys[keygen.coordinator].public_key,
        enclave_key_epoch=3,
        creator_key=keygen.credentials.creator_key,
    )


async def test_enclaves_are_pinned_with_key_and_epoch(gateway: KeymeldGateway, pinned: list[EnclaveKey]) -> None:
    assert list(await gateway.enclaves()) == pinned


async def test_unhealthy_enclaves_are_left_out(gateway: KeymeldGateway, script: Any) -> None:
    script.enclave(1, SecretKey.generate().public_key.hex(), healthy=False)
    assert await gateway.enclaves() == ()


async def test_time_is_the_gateways(gateway: KeymeldGateway, pinned: list[EnclaveKey], script: Any) -> None:
    assert await gateway.gateway_time() == GATEWAY_TIME
    assert await gateway.gateway_time() == GATEWAY_TIME
    assert len(script.seen) == 2


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


async def test_initialize_sends_what_was_stored(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    initialization = opening(keygen)
    script.on("POST", paths["initialize"], httpx.Response(200, json={"status": "collecting_participants"}))
    await gateway.initialize(access(keygen), keygen.manifest, initialization)
    (seen,) = script.posts(paths["initialize"])
    assert seen.body == initialization.payload()
    assert "private" not in str(list(seen.body))


async def test_initialize_twice_has_no_effect(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, refuse: Any
) -> None:
    script.on("POST", paths["initialize"], refuse(400, "Session is not in reserved state."))
    script.on("GET", paths["status"], status(keygen))
    await gateway.initialize(access(keygen), keygen.manifest, opening(keygen))


async def test_initialize_with_an_old_epoch(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["initialize"], refuse(400, "epoch 3, but current epoch is 4"))
    script.on("GET", paths["status"], refuse(400, "Session is reserved but not yet initialized"))
    script.enclave(7, keygen.enclaves[7].public_key.hex(), epoch=4)
    with pytest.raises(EnclaveChanged):
        await gateway.initialize(access(keygen), keygen.manifest, opening(keygen))


@pytest.mark.parametrize("code", [404, 409])
async def test_initialize_of_an_expired_reservation(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any, code: int
) -> None:
    script.on("POST", paths["initialize"], refuse(code, "expired"))
    script.on("GET", paths["status"], refuse(404, "Session not found", "not_found"))
    with pytest.raises(SessionGone):
        await gateway.initialize(access(keygen), keygen.manifest, opening(keygen))


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


async def register(gateway: KeymeldGateway, keygen: Any) -> None:
    await gateway.register(access(keygen), keygen.registrations[keygen.players[0]])


async def test_a_refused_envelope_is_the_players_fault(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(400, "Enclave rejected registration: proof"))
    with pytest.raises(RegistrationRefused) as caught:
        await register(gateway, keygen)
    assert caught.value.fault is Fault.PLAYER


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


async def test_a_session_that_expired_while_collecting(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "session expired", "conflict"))
    script.on("GET", paths["status"], status(keygen))
    script.on("GET", paths["slots"], slots(keygen, ()))
    with pytest.raises(SessionGone):
        await register(gateway, keygen)


async def test_slots(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["slots"], slots(keygen, (keygen.coordinator,)))
    found = await gateway.slots(access(keygen))
    assert {slot.user_id for slot in found} == set(keygen.keys)
    assert [slot.user_id for slot in found if slot.claimed] == [keygen.coordinator]


async def test_keygen_states(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, refuse: Any) -> None:
    script.on(
        "GET",
        paths["status"],
        refuse(400, "Session is reserved but not yet initialized"),
        status(keygen),
        refuse(503, "Enclave communication failed", "enclave_communication_error"),
        status(keygen, "completed"),
        refuse(400, "Cannot get status for failed session"),
        refuse(404, "Session not found", "not_found"),
    )
    assert (await gateway.keygen_status(access(keygen))).state is KeygenState.RESERVED
    collecting = await gateway.keygen_status(access(keygen))
    assert (collecting.state, collecting.registered, collecting.expected) == (KeygenState.COLLECTING, 1, 4)
    assert (collecting.manifest, collecting.recipients) == (keygen.manifest, keygen.recipients)
    assert (await gateway.keygen_status(access(keygen))).state is KeygenState.COMPLETED
    assert (await gateway.keygen_status(access(keygen))).state is KeygenState.FAILED
    with pytest.raises(SessionGone):
        await gateway.keygen_status(access(keygen))


async def test_a_failed_keygen_takes_no_keys_and_has_no_roster(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["participants"], refuse(409, "not accepting new participants", "conflict"))
    script.on("GET", paths["status"], refuse(400, "Cannot get status for failed session"))
    with pytest.raises(SessionFailed):
        await register(gateway, keygen)
    with pytest.raises(SessionFailed):
        await gateway.roster(access(keygen), keygen.expectation())


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "finished"},
        {"status": ["completed"]},
        {"keygen_session_id": "01890a5d-ac96-774b-bcce-ffffffffffff"},
        {"registered_participants": -1},
        {"authorization_manifest": {"manifest": {}, "signature": []}},
    ],
)
async def test_a_malformed_status_is_the_signers_fault(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, changes: dict[str, Any]
) -> None:
    script.on("GET", paths["status"], status(keygen, **changes))
    with pytest.raises(VerificationFailed) as caught:
        await gateway.keygen_status(access(keygen))
    assert caught.value.fault is Fault.SIGNER


async def test_the_roster_is_verified(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["status"], status(keygen), completed(keygen))
    with pytest.raises(NotReady, match="1 of 4"):
        await gateway.roster(access(keygen), keygen.expectation())
    verified = await gateway.roster(access(keygen), keygen.expectation(keygen.coordinator))
    assert verified.key_set == keygen.verified().key_set


async def test_a_forged_roster_is_the_signers_fault(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any
) -> None:
    keygen.signed_roster = keygen.sign_roster(keygen.roster(), enclave=1)
    script.on("GET", paths["status"], completed(keygen))
    with pytest.raises(VerificationFailed) as caught:
        await gateway.roster(access(keygen), keygen.expectation())
    assert caught.value.fault is Fault.SIGNER


async def test_a_gateway_that_only_fails_is_unreachable(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any
) -> None:
    script.on("GET", paths["status"], httpx.Response(500, content=b"oops"))
    with pytest.raises(Unreachable):
        await gateway.keygen_status(access(keygen))


async def test_plain_text_errors_are_read_too(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["slots"], httpx.Response(400, content=b"Header of type x was missing"))
    with pytest.raises(Rejected, match="was missing"):
        await gateway.slots(access(keygen))


async def test_a_gateway_that_refuses_its_enclaves(gateway: KeymeldGateway, script: Any, refuse: Any) -> None:
    script.on("GET", "/enclaves", refuse(404, "no such route", "not_found"))
    with pytest.raises(Rejected, match="no such route"):
        await gateway.enclaves()
    with pytest.raises(Rejected, match="no such route"):
        await gateway.gateway_time()
    script.on("GET", "/enclaves", script.listed(1))
    script.on("GET", "/enclaves/1/public-key", refuse(400, "no such enclave"))
    with pytest.raises(Rejected, match="no such enclave"):
        await gateway.enclaves()


async def test_a_gateway_without_enclaves_has_no_time(gateway: KeymeldGateway, script: Any) -> None:
    script.on("GET", "/enclaves", script.listed())
    with pytest.raises(Unreachable, match="no enclave"):
        await gateway.gateway_time()


async def test_an_answer_about_another_enclave_is_refused(gateway: KeymeldGateway, keygen: Any, script: Any) -> None:
    script.enclave(7, keygen.enclaves[7].public_key.hex())
    script.answers["GET", "/api/v1/enclaves/1/public-key"] = script.answers["GET", "/api/v1/enclaves/7/public-key"]
    with pytest.raises(VerificationFailed, match="another enclave"):
        await gateway.enclaves()


async def test_a_coordinator_assigned_elsewhere_is_refused(
    gateway: KeymeldGateway, keygen: Any, script: Any, pinned: list[EnclaveKey]
) -> None:
    moved = {**keygen.recipients.user_enclave_assignments, keygen.coordinator: 1}
    script.on("POST", "/keygen/reserve", reservation(keygen, user_enclave_assignments=moved))
    with pytest.raises(VerificationFailed, match="coordinator_enclave_id"):
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


async def test_an_altered_initialization_is_not_sent(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any
) -> None:
    initialization = opening(keygen)
    members = {name: getattr(initialization, name) for name in Initialization.__struct_fields__}
    with pytest.raises(VerificationFailed):
        await gateway.initialize(access(keygen), keygen.manifest, Initialization(**{**members, "enclave_key_epoch": 9}))
    assert script.posts(paths["initialize"]) == []


async def test_initialize_over_another_session_is_taken(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, refuse: Any
) -> None:
    script.on("POST", paths["initialize"], refuse(400, "Session is not in reserved state."))
    script.on("GET", paths["status"], status(keygen, recipient_authorization=None))
    with pytest.raises(SessionTaken):
        await gateway.initialize(access(keygen), keygen.manifest, opening(keygen))


async def test_initialize_refused_for_another_reason(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any, pinned: Any, refuse: Any
) -> None:
    script.on("POST", paths["initialize"], refuse(401, "Invalid signature", "unauthorized"))
    script.on("GET", paths["status"], refuse(400, "Session is reserved but not yet initialized"))
    with pytest.raises(Rejected) as caught:
        await gateway.initialize(access(keygen), keygen.manifest, opening(keygen))
    assert (type(caught.value), caught.value.fault) == (Rejected, Fault.COORDINATOR)


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


async def test_a_failed_keygen_has_no_roster(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["status"], status(keygen, "failed"))
    with pytest.raises(SessionFailed):
        await gateway.roster(access(keygen), keygen.expectation())


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


async def test_the_gateways_clock_is_read_again_after_a_minute(keygen: Any, script: Any) -> None:
    class Moving:
        time = 1_700_000_000

        def now(self) -> UnixTime:
            return UnixTime(self.time)

    clock = Moving()
    async with KeymeldGateway("http://gateway", clock, transport=httpx.MockTransport(script)) as client:
        assert await client.gateway_time() == GATEWAY_TIME
        clock.time += 60
        assert await client.gateway_time() == GATEWAY_TIME + 60
        reads = len(script.seen)
        clock.time += 1
        assert await client.gateway_time() == GATEWAY_TIME
        clock.time -= 1000
        assert await client.gateway_time() == GATEWAY_TIME
    assert len(script.seen) == reads + 4
