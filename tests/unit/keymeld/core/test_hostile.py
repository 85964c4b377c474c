"""Whatever JSON comes in, public readers answer with a typed error or a verified value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator_core.errors import CoreError, InvalidInput
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.ecies import decrypt
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.registration import RegistrationAuthorization, SealedRegistration
from coordinator_core.keymeld.roster import SignedRoster
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

READERS: list[Callable[[str | bytes], object]] = [
    SignedManifest.from_json,
    RegistrationAuthorization.from_json,
    SealedRegistration.from_json,
    SignedBatch.from_json,
    ParticipantApproval.from_json,
    SignedRoster.from_json,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["", "null", "[]", "{", b"\xff", "[" * 100_000, '{"a":' * 5000, "1e999", "NaN"])
def test_what_is_no_object_is_refused(read: Callable[[str | bytes], object], text: str | bytes) -> None:
    with pytest.raises(InvalidInput):
        read(text)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [prefix, *(path for name in value for path in paths(value[name], (*prefix, name)))]
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [prefix, *(path for index in range(len(value)) for path in paths(value[index], (*prefix, index)))]
    return [prefix]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.data(), new=JSON)
def test_a_manifest_or_roster_with_one_foreign_member_is_refused(keygen: Any, data: st.DataObject, new: Any) -> None:
    for read, text in (
        (SignedManifest.from_json, keygen.manifest.to_json()),
        (SignedRoster.from_json, keygen.signed_roster.to_json()),
    ):
        original = json.loads(text)
        changed = replaced(original, data.draw(st.sampled_from(paths(original))), new)
        if changed == original:
            continue
        try:
            value = read(json.dumps(changed))
        except CoreError:
            continue
        # What still reads as a roster is only unverified; a manifest is verified when it is read.
        assert isinstance(value, SignedRoster)
        assert value != keygen.signed_roster


@given(st.binary(max_size=120))
def test_hostile_ciphertexts_are_refused(blob: bytes) -> None:
    with pytest.raises(CoreError):
        decrypt(blob, SecretKey.from_bytes(b"\x22" * 32))


@given(st.text(max_size=200))
def test_hostile_fields_are_refused(text: str) -> None:
    with pytest.raises(CoreError):
        decrypt_field(Secret(b"\x01" * 32), Context.SIGNATURE, text, "field")


def test_unknown_members_of_signed_objects_are_refused(keygen: Any) -> None:
    body = json.loads(keygen.manifest.to_json())
    body["manifest"]["extra"] = 1
    with pytest.raises(InvalidInput, match="extra"):
        SignedManifest.from_json(json.dumps(body))
