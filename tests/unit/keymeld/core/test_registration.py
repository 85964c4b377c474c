from __future__ import annotations

from typing import Any

import pytest

from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.keymeld.canonical import canonical_json, integers, sign_authorization
from coordinator_core.keymeld.ecies import encrypt
from coordinator_core.keymeld.envelope import POSSESSION_DOMAIN, open_registration
from coordinator_core.keymeld.registration import (
    RegistrationAuthorization,
    RegistrationContext,
    SealedRegistration,
    accept_registration,
)
from coordinator_core.secp256k1 import SecretKey, sha256

EPOCHS = {1: 3, 7: 3}


def accept(
    keygen: Any, user: str, registration: SealedRegistration | None = None, **changes: Any
) -> SealedRegistration:
    sealed = registration or keygen.registrations[user]
    arguments: dict[str, Any] = {
        "manifest": keygen.manifest,
        "recipients": keygen.recipients,
        "enclave_key_epochs": EPOCHS,
        "user_id": user,
        "public_key": keygen.keys[user].public_key,
    }
    return accept_registration(sealed.authorization, sealed.ciphertext, **{**arguments, **changes})


def with_context(registration: SealedRegistration, slot: SecretKey, **changes: Any) -> SealedRegistration:
    context = registration.authorization.context
    members = {name: getattr(context, name) for name in RegistrationContext.__struct_fields__}
    moved = RegistrationContext(**{**members, **changes})
    authorization = RegistrationAuthorization.sign(moved, registration.ciphertext, slot)
    return SealedRegistration(authorization, registration.ciphertext, registration.enclave_public_key)


def test_what_a_player_seals_is_accepted_and_opens_in_its_enclave(keygen: Any) -> None:
    for user in keygen.players:
        sealed = accept(keygen, user)
        context = sealed.authorization.context
        envelope = open_registration(sealed.ciphertext, keygen.enclaves[context.enclave_id], context)
        assert envelope.private_key.public_key == keygen.keys[user].public_key
        assert keygen.keys[user].reveal().hex() not in repr(envelope)


def test_json_round_trips(keygen: Any) -> None:
    sealed = keygen.registrations[keygen.players[0]]
    assert SealedRegistration.from_json(sealed.to_json()) == sealed
    assert RegistrationAuthorization.from_json(sealed.authorization.to_json()) == sealed.authorization


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user_id": "01890a5d-ac96-774b-bcce-00000000000c"}, "context.user_id"),
        ({"enclave_id": 7}, "context.enclave_id"),
        ({"enclave_key_epoch": 2}, "context.enclave_key_epoch"),
        ({"public_key": SecretKey.generate().public_key}, "context.public_key"),
        ({"require_signing_approval": False}, "context.require_signing_approval"),
    ],
)
def test_a_context_for_something_else_is_the_players_fault(keygen: Any, changes: dict[str, Any], field: str) -> None:
    user = keygen.players[0]
    moved = with_context(keygen.registrations[user], keygen.slots[user], **changes)
    with pytest.raises(InvalidInput) as caught:
        accept(keygen, user, moved)
    assert caught.value.field == f"registration.{field}"
    assert caught.value.fault is Fault.PLAYER


@pytest.mark.parametrize(
    "changes", [{"manifest_hash": bytes(32)}, {"keygen_session_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}]
)
def test_a_context_of_another_session_is_refused(keygen: Any, changes: dict[str, Any]) -> None:
    user = keygen.players[0]
    with pytest.raises(VerificationFailed, match="another session"):
        accept(keygen, user, with_context(keygen.registrations[user], keygen.slots[user], **changes))


def test_another_slot_cannot_register(keygen: Any) -> None:
    user, other = keygen.players[:2]
    with pytest.raises(InvalidSignature):
        accept(keygen, user, with_context(keygen.registrations[user], keygen.slots[other]))


def test_another_ciphertext_is_refused(keygen: Any) -> None:
    sealed = keygen.registrations[keygen.players[0]]
    other = SealedRegistration(sealed.authorization, sealed.ciphertext + b"\x00", sealed.enclave_public_key)
    with pytest.raises(InvalidInput, match="ciphertext"):
        accept(keygen, keygen.players[0], other)


def test_a_stranger_is_refused(keygen: Any) -> None:
    with pytest.raises(InvalidInput, match="no participant"):
        accept(keygen, keygen.players[0], user_id="01890a5d-ac96-774b-bcce-ffffffffffff")


def envelope(context: RegistrationContext, key: SecretKey, prover: SecretKey) -> bytes:
    proof = sign_authorization(POSSESSION_DOMAIN, context.payload(), prover)
    body = {
        "context": context.payload(),
        "private_key": integers(key.reveal()),
        "proof_signature": integers(proof),
    }
    return canonical_json(body)


def test_an_envelope_cannot_be_moved(keygen: Any) -> None:
    sealed = keygen.registrations[keygen.players[0]]
    context = sealed.authorization.context
    secret = keygen.enclaves[context.enclave_id]
    other = with_context(sealed, keygen.slots[keygen.players[0]], enclave_key_epoch=4).authorization.context
    with pytest.raises(VerificationFailed, match="authorized"):
        open_registration(sealed.ciphertext, secret, other)
    with pytest.raises(VerificationFailed, match="does not open"):
        open_registration(sealed.ciphertext, SecretKey.generate(), context)


def test_possession_is_proven_with_the_key_itself(keygen: Any) -> None:
    user = keygen.players[0]
    context, key = keygen.registrations[user].authorization.context, keygen.keys[user]
    enclave = keygen.enclaves[context.enclave_id]
    with pytest.raises(InvalidSignature):
        open_registration(encrypt(envelope(context, key, SecretKey.generate()), enclave.public_key), enclave, context)
    stolen = envelope(context, SecretKey.from_bytes(sha256(b"another")), key)
    with pytest.raises(VerificationFailed, match="public key"):
        open_registration(encrypt(stolen, enclave.public_key), enclave, context)


def test_the_auth_key_is_derived_from_the_key(keygen: Any) -> None:
    user = keygen.players[0]
    sealed = keygen.registrations[user]
    wrong = with_context(sealed, keygen.slots[user], auth_pubkey=SecretKey.generate().public_key)
    context = wrong.authorization.context
    enclave = keygen.enclaves[context.enclave_id]
    blob = encrypt(envelope(context, keygen.keys[user], keygen.keys[user]), enclave.public_key)
    with pytest.raises(VerificationFailed, match="another auth key"):
        open_registration(blob, enclave, context)
