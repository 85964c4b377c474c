from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused, VerificationFailed
from coordinator_core.keymeld.audit import ManifestRefused, audit_recipients
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.secp256k1 import SecretKey


def public(keygen: Any) -> dict[int, bytes]:
    return {enclave: secret.public_key for enclave, secret in keygen.enclaves.items()}


def test_json_round_trip(keygen: Any) -> None:
    assert EnclaveRecipients.from_json(keygen.recipients.to_json(), keygen.manifest) == keygen.recipients


def test_enclaves_are_written_in_numeric_order(keygen: Any) -> None:
    keys = {10: SecretKey.generate().public_key, 9: SecretKey.generate().public_key}
    users = keygen.manifest.manifest.users
    assigned = {user: (10, 9)[index % 2] for index, user in enumerate(users)}
    recipients = EnclaveRecipients.sign(keygen.manifest, assigned, keys, keygen.credentials.creator_key)
    assert list(json.loads(recipients.to_json())["recipient_public_keys"]) == ["9", "10"]


def test_keys_of_unused_enclaves_are_left_out(keygen: Any) -> None:
    assigned = dict.fromkeys(keygen.manifest.manifest.users, 7)
    recipients = EnclaveRecipients.sign(keygen.manifest, assigned, public(keygen), keygen.credentials.creator_key)
    assert list(recipients.recipient_public_keys) == [7]


def test_an_enclave_that_is_not_pinned_is_refused(keygen: Any) -> None:
    assigned = dict.fromkeys(keygen.manifest.manifest.users, 5)
    with pytest.raises(InvalidInput, match="enclave 5"):
        EnclaveRecipients.sign(keygen.manifest, assigned, public(keygen), keygen.credentials.creator_key)


def test_two_enclaves_with_one_key_are_refused(keygen: Any) -> None:
    same = dict.fromkeys((1, 7), keygen.enclaves[1].public_key)
    with pytest.raises(Refused, match="same key"):
        EnclaveRecipients.sign(
            keygen.manifest,
            dict(keygen.recipients.user_enclave_assignments),
            same,
            keygen.credentials.creator_key,
        )


def edited(keygen: Any, **changes: Any) -> str:
    return json.dumps({**json.loads(keygen.recipients.to_json()), **changes})


def test_another_signer_is_refused(keygen: Any) -> None:
    with pytest.raises(InvalidSignature):
        EnclaveRecipients.from_json(edited(keygen, signature=[1] * 64), keygen.manifest)


def test_a_moved_user_breaks_the_signature(keygen: Any) -> None:
    assigned = dict(keygen.recipients.user_enclave_assignments)
    assigned[keygen.players[0]] = 7
    with pytest.raises(InvalidSignature):
        EnclaveRecipients.from_json(edited(keygen, user_enclave_assignments=assigned), keygen.manifest)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"manifest_hash": [0] * 32}, VerificationFailed),
        ({"keygen_session_id": "01890a5d-ac96-774b-bcce-ffffffffffff"}, VerificationFailed),
        ({"user_enclave_assignments": {}}, Refused),
        ({"recipient_public_keys": {}}, InvalidInput),
        ({"recipient_public_keys": {"01": [2] * 33}}, InvalidInput),
        ({"recipient_public_keys": {"x": [2] * 33}}, InvalidInput),
    ],
)
def test_rules(keygen: Any, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        EnclaveRecipients.from_json(edited(keygen, **changes), keygen.manifest)


def test_player_compares_with_the_keys_the_gateway_serves(keygen: Any) -> None:
    audit_recipients(keygen.recipients, keygen.manifest, public(keygen))
    with pytest.raises(ManifestRefused, match=r"recipient_public_keys\.7"):
        audit_recipients(keygen.recipients, keygen.manifest, public(keygen) | {7: SecretKey.generate().public_key})
    with pytest.raises(ManifestRefused, match=r"recipient_public_keys\.1"):
        audit_recipients(keygen.recipients, keygen.manifest, {7: keygen.enclaves[7].public_key})


def test_player_refuses_recipients_of_another_signer(keygen: Any) -> None:
    members = {name: getattr(keygen.recipients, name) for name in EnclaveRecipients.__struct_fields__}
    forged = EnclaveRecipients(**{**members, "signature": bytes(64)})
    with pytest.raises(InvalidSignature):
        audit_recipients(forged, keygen.manifest, public(keygen))


@pytest.mark.parametrize("session", ["01890a5d-ac96-774b-bcce-000000000001", "01890a5d-ac96-774b-bcce-000000000009"])
def test_recipients_of_another_manifest_of_the_same_creator_are_refused(keygen: Any, session: str) -> None:
    other = keygen.credentials.sign_manifest(
        keygen_session_id=session,
        coordinator_user_id=keygen.coordinator,
        slot_keys=keygen.slot_keys,
        places=1,
    )
    reason = "another manifest" if session == keygen.keygen_session_id else "another session"
    with pytest.raises(VerificationFailed, match=reason):
        keygen.recipients.verify(other)
