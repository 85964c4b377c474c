"""Initializing a reserved keygen session: once, and over nobody else's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected
from coordinator.ports.keymeld import EnclaveChanged, SessionGone, SessionTaken
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.keymeld.initialization import Initialization
from tests.support.keymeld_answers import access, opening, status


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
    assert len(script.posts(paths["initialize"])) == 1
    assert script.seen[-1].path == f"/api/v1{paths['status']}"


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
