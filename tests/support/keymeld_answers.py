"""Answers of a keymeld gateway to the calls of a keygen, as tests script them; `keygen` is a whole one."""

from __future__ import annotations

from typing import Any

import httpx

from coordinator_core.keymeld.initialization import Initialization

GATEWAY_TIME = 1_700_000_500


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
