from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.ecies import decrypt
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret


def test_credentials_survive_the_secret_store() -> None:
    credentials = SessionCredentials.generate()
    again = SessionCredentials.from_secret(credentials.to_secret())
    assert again.session_secret == credentials.session_secret
    assert again.creator_key.public_key == credentials.creator_key.public_key
    assert again.slot_key.public_key == credentials.slot_key.public_key
    assert credentials.session_secret.reveal().hex() not in repr(credentials)
    with pytest.raises(InvalidInput, match="96"):
        SessionCredentials.from_secret(Secret(b"\x01" * 95))


def test_too_many_players_for_keymeld_are_refused() -> None:
    slots = {f"01890a5d-ac96-774b-bcce-{i:012x}": SecretKey.generate().public_key for i in range(21)}
    with pytest.raises(Refused, match="subsets"):
        SessionCredentials.generate().sign_manifest(
            keygen_session_id="01890a5d-ac96-774b-bcce-0000000000a1",
            coordinator_user_id="01890a5d-ac96-774b-bcce-0000000000a2",
            slot_keys=slots,
            places=2,
        )


def opening(keygen: Any) -> Initialization:
    return Initialization.sign(
        keygen.manifest,
        keygen.recipients,
        session_secret=keygen.credentials.session_secret,
        coordinator_pubkey=keygen.keys[keygen.coordinator].public_key,
        enclave_key_epoch=3,
        creator_key=keygen.credentials.creator_key,
    )


def test_initialization_seals_the_secret_to_the_coordinators_enclave(keygen: Any) -> None:
    initialization = opening(keygen)
    sealed = bytes.fromhex(initialization.encrypted_session_secret)
    assert decrypt(sealed, keygen.enclaves[7]) == keygen.credentials.session_secret.reveal()
    assert Initialization.from_json(initialization.to_json(), keygen.manifest) == initialization


def test_every_member_of_an_initialization_is_signed(keygen: Any) -> None:
    initialization = opening(keygen)
    members = {name: getattr(initialization, name) for name in Initialization.__struct_fields__}
    for change in (
        {"enclave_key_epoch": 4},
        {"encrypted_session_secret": "00"},
        {"encrypted_session_data": "00"},
        {"coordinator_pubkey": keygen.keys[keygen.players[0]].public_key},
        {"authorization_signature": bytes(64)},
    ):
        with pytest.raises(InvalidSignature):
            Initialization(**{**members, **change}).verify(keygen.manifest)
    other = {**members, "session_public_key": SecretKey.generate().public_key}
    with pytest.raises(InvalidInput, match="session_public_key"):
        Initialization(**other).verify(keygen.manifest)


def forged_recipients(keygen: Any) -> EnclaveRecipients:
    members = {name: getattr(keygen.recipients, name) for name in EnclaveRecipients.__struct_fields__}
    return EnclaveRecipients(**{**members, "signature": bytes(64)})


def test_nothing_is_sealed_to_recipients_that_nobody_signed(keygen: Any) -> None:
    forged = forged_recipients(keygen)
    with pytest.raises(InvalidSignature):
        Initialization.sign(
            keygen.manifest,
            forged,
            session_secret=keygen.credentials.session_secret,
            coordinator_pubkey=keygen.keys[keygen.coordinator].public_key,
            enclave_key_epoch=3,
            creator_key=keygen.credentials.creator_key,
        )
    keygen.recipients = forged
    with pytest.raises(InvalidSignature):
        keygen.register(keygen.players[0])


def test_a_key_is_sealed_with_the_manifests_slot_key_only(keygen: Any) -> None:
    keygen.slots[keygen.players[0]] = SecretKey.generate()
    with pytest.raises(InvalidSignature):
        keygen.register(keygen.players[0])


def test_a_stored_initialization_is_verified(keygen: Any) -> None:
    body = json.loads(opening(keygen).to_json())
    body["enclave_key_epoch"] += 1
    with pytest.raises(InvalidSignature):
        Initialization.from_json(json.dumps(body), keygen.manifest)
