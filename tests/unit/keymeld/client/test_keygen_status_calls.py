"""What the gateway says of a keygen session, its slots and its roster, and what is believed of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.keymeld import KeygenState, NotReady, SessionFailed, SessionGone
from coordinator_core.errors import Fault, VerificationFailed
from tests.support.keymeld_answers import access, completed, slots, status


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


async def test_a_gateway_that_only_fails_is_unreachable(
    gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any
) -> None:
    script.on("GET", paths["status"], httpx.Response(500, content=b"oops"))
    with pytest.raises(Unreachable):
        await gateway.keygen_status(access(keygen))


async def test_slots(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["slots"], slots(keygen, (keygen.coordinator,)))
    found = await gateway.slots(access(keygen))
    assert {slot.user_id for slot in found} == set(keygen.keys)
    assert [slot.user_id for slot in found if slot.claimed] == [keygen.coordinator]


async def test_plain_text_errors_are_read_too(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["slots"], httpx.Response(400, content=b"Header of type x was missing"))
    with pytest.raises(Rejected, match="was missing"):
        await gateway.slots(access(keygen))


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


async def test_a_failed_keygen_has_no_roster(gateway: KeymeldGateway, keygen: Any, script: Any, paths: Any) -> None:
    script.on("GET", paths["status"], status(keygen, "failed"))
    with pytest.raises(SessionFailed):
        await gateway.roster(access(keygen), keygen.expectation())
