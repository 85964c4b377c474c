from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused
from coordinator_core.keymeld.canonical import sign_authorization
from coordinator_core.keymeld.manifest import (
    MANIFEST_DOMAIN,
    SessionManifest,
    SignedManifest,
    Subset,
    define_subsets,
)
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import Seconds

STRANGER = "01890a5d-ac96-774b-bcce-ffffffffffff"


def changed(signed: SignedManifest, **changes: Any) -> SessionManifest:
    members = {name: getattr(signed.manifest, name) for name in SessionManifest.__struct_fields__}
    return SessionManifest(**{**members, **changes})


def test_json_round_trip_keeps_value_and_hash(keygen: Any) -> None:
    again = SignedManifest.from_json(keygen.manifest.to_json())
    assert again == keygen.manifest
    assert again.hash == keygen.manifest.hash


def test_verifiers_are_written_in_uuid_order_and_bytes_as_integers(keygen: Any) -> None:
    body = json.loads(keygen.manifest.to_json())
    users = list(body["manifest"]["participant_verifiers"])
    assert users == sorted(users)
    assert body["manifest"]["creator_pubkey"] == list(keygen.credentials.creator_key.public_key)


@pytest.mark.parametrize("member", ["timeout_secs", "max_signing_sessions"])
def test_a_changed_member_breaks_the_signature(keygen: Any, member: str) -> None:
    body = json.loads(keygen.manifest.to_json())
    body["manifest"][member] += 1
    if member == "timeout_secs":
        body["manifest"][member] = 5
    with pytest.raises(InvalidSignature):
        SignedManifest.from_json(json.dumps(body))


def test_the_hash_covers_the_signature(keygen: Any) -> None:
    other = SignedManifest(keygen.manifest.manifest, bytes(64))
    assert other.hash != keygen.manifest.hash


def test_a_deposit_scope_is_refused(keygen: Any) -> None:
    body = json.loads(keygen.manifest.to_json())
    body["manifest"]["deposit_scope"] = None
    with pytest.raises(Refused, match="deposit_scope"):
        SignedManifest.from_json(json.dumps(body))


def test_another_creator_key_cannot_sign(keygen: Any) -> None:
    with pytest.raises(InvalidInput, match="creator_pubkey"):
        SignedManifest.sign(keygen.manifest.manifest, SecretKey.generate())


def refused_cases(keygen: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    manifest = keygen.manifest.manifest
    verifiers = dict(manifest.participant_verifiers)
    first, second = keygen.players[:2]
    subset = manifest.subset_definitions[0]
    return {
        "coordinator is no participant": ("coordinator_user_id", {"coordinator_user_id": STRANGER}),
        "one participant": (
            "participant_verifiers",
            {"participant_verifiers": {keygen.coordinator: verifiers[keygen.coordinator]}},
        ),
        "no point": ("participant_verifiers", {"participant_verifiers": verifiers | {first: b"\x02" + bytes(32)}}),
        "slot twice": ("participant_verifiers", {"participant_verifiers": verifiers | {first: verifiers[second]}}),
        "slot is creator": (
            "participant_verifiers",
            {"participant_verifiers": verifiers | {first: manifest.creator_pubkey}},
        ),
        "slot is session": (
            "participant_verifiers",
            {"participant_verifiers": verifiers | {first: manifest.session_public_key}},
        ),
        "session is creator": ("session_public_key", {"session_public_key": manifest.creator_pubkey}),
        "subset id twice": ("subset_definitions", {"subset_definitions": (subset, subset)}),
        "subset stranger": (
            "subset_definitions",
            {"subset_definitions": (Subset(STRANGER, (keygen.coordinator, STRANGER)),)},
        ),
        "subset member twice": (
            "subset_definitions",
            {"subset_definitions": (Subset(STRANGER, (keygen.coordinator, keygen.coordinator)),)},
        ),
        "subset without coordinator": (
            "subset_definitions",
            {"subset_definitions": (Subset(STRANGER, (first, second)),)},
        ),
        "201 subsets": (
            "subset_definitions",
            {"subset_definitions": tuple(Subset(f"{STRANGER[:-3]}{i:03d}", subset.participants) for i in range(201))},
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "coordinator is no participant",
        "one participant",
        "no point",
        "slot twice",
        "slot is creator",
        "slot is session",
        "session is creator",
        "subset id twice",
        "subset stranger",
        "subset member twice",
        "subset without coordinator",
        "201 subsets",
    ],
)
def test_rules(keygen: Any, case: str) -> None:
    field, changes = refused_cases(keygen)[case]
    with pytest.raises(InvalidInput) as caught:
        SignedManifest.sign(changed(keygen.manifest, **changes), keygen.credentials.creator_key)
    assert caught.value.field.startswith(f"manifest.{field}")


def test_creator_may_be_the_signing_key(keygen: Any) -> None:
    assert keygen.manifest.manifest.creator_pubkey == keygen.manifest.manifest.signing_pubkey


def test_values_are_frozen(keygen: Any) -> None:
    with pytest.raises(AttributeError):
        keygen.manifest.manifest.timeout_secs = Seconds(1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({}, SessionManifest)


def test_rules_hold_for_a_manifest_that_its_creator_signed(keygen: Any) -> None:
    subset = keygen.manifest.manifest.subset_definitions[0]
    manifest = changed(keygen.manifest, subset_definitions=(subset, subset))
    signature = sign_authorization(MANIFEST_DOMAIN, manifest.payload(), keygen.credentials.creator_key)
    with pytest.raises(InvalidInput, match="twice"):
        SignedManifest.from_json(SignedManifest(manifest, signature).to_json())


def test_a_subset_of_one_is_refused(keygen: Any) -> None:
    manifest = changed(keygen.manifest, subset_definitions=(Subset(STRANGER, (keygen.coordinator,)),))
    with pytest.raises(InvalidInput, match="at least two"):
        SignedManifest.sign(manifest, keygen.credentials.creator_key)


def test_every_group_gets_an_id(keygen: Any) -> None:
    with pytest.raises(InvalidInput, match="1 for 2 groups"):
        define_subsets([STRANGER], [["a", "b"], ["c", "d"]])
