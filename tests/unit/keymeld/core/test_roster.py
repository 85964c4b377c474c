from __future__ import annotations

from typing import Any

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused, VerificationFailed
from coordinator_core.keymeld.canonical import sign_authorization
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.roster import (
    ROSTER_DOMAIN,
    RosterExpectation,
    SignedRoster,
    open_roster,
    verify_roster,
)
from coordinator_core.musig2 import KeySet
from coordinator_core.secp256k1 import SecretKey


def test_a_roster_is_opened_and_gives_the_key_sets(keygen: Any) -> None:
    verified = open_roster(
        keygen.credentials.session_secret,
        keygen.expectation(keygen.players[1]),
        **keygen.encrypted_status(),
    )
    assert verified.key_set == KeySet.aggregate([secret.public_key for secret in keygen.keys.values()])
    pair = KeySet.aggregate([keygen.keys[u].public_key for u in (keygen.coordinator, keygen.players[0])])
    subset = verified.subset_ids()[pair]
    assert subset is not None
    assert verified.key_set_of(subset) == pair
    assert verified.subset_ids()[verified.key_set] is None
    assert SignedRoster.from_json(verified.signed.to_json()) == verified.signed


def test_an_unknown_subset_has_no_key_set(keygen: Any) -> None:
    with pytest.raises(InvalidInput, match="not defined"):
        keygen.verified().key_set_of(keygen.coordinator)


def rogue(keygen: Any) -> dict[str, dict[str, Any]]:
    roster = keygen.roster()
    stranger = SecretKey.generate().public_key
    first, second = keygen.players[:2]
    registrations = dict(roster.registrations)
    subset = next(iter(roster.subset_aggregate_keys))
    return {
        "manifest_hash": {"manifest_hash": bytes(32)},
        "keygen_session_id": {"keygen_session_id": keygen.coordinator},
        "participants.key": {"participants": {**roster.participants, first: stranger}},
        "participants.missing": {"participants": {u: k for u, k in roster.participants.items() if u != first}},
        "registrations.swapped": {"registrations": {**registrations, first: registrations[second]}},
        "registrations.missing": {"registrations": {u: r for u, r in registrations.items() if u != first}},
        "registrations.no_approval": {
            "registrations": {**registrations, first: keygen.register(first, approval=False).authorization}
        },
        "aggregate": {"aggregate_public_key": stranger},
        "subset_aggregate": {"subset_aggregate_keys": {**roster.subset_aggregate_keys, subset: stranger}},
        "subset_missing": {"subset_aggregate_keys": {}},
        "subset_definitions": {"subset_definitions": roster.subset_definitions[:1]},
    }


@pytest.mark.parametrize(
    "case",
    [
        "manifest_hash",
        "keygen_session_id",
        "participants.key",
        "participants.missing",
        "registrations.swapped",
        "registrations.missing",
        "registrations.no_approval",
        "aggregate",
        "subset_aggregate",
        "subset_missing",
        "subset_definitions",
    ],
)
def test_a_wrong_roster_is_refused_even_if_the_enclave_signed_it(keygen: Any, case: str) -> None:
    signed = keygen.sign_roster(keygen.roster(**rogue(keygen)[case]))
    with pytest.raises(VerificationFailed):
        verify_roster(signed, keygen.expectation())


def test_only_the_coordinators_enclave_signs(keygen: Any) -> None:
    with pytest.raises(VerificationFailed, match="pinned"):
        verify_roster(keygen.sign_roster(keygen.roster(), enclave=1), keygen.expectation())
    forged = SignedRoster(
        keygen.roster(),
        sign_authorization(ROSTER_DOMAIN, keygen.roster().payload(), keygen.enclaves[1]),
        keygen.enclaves[7].public_key,
    )
    with pytest.raises(InvalidSignature):
        verify_roster(forged, keygen.expectation())


def test_a_player_registered_with_another_key_than_its_entry_is_refused(keygen: Any) -> None:
    expectation = keygen.expectation()
    keys = {**expectation.participants, keygen.players[0]: SecretKey.generate().public_key}
    with pytest.raises(VerificationFailed, match="signed entries"):
        verify_roster(keygen.signed_roster, RosterExpectation(keygen.manifest, keygen.recipients, keys))


def test_our_own_registration_must_be_the_one_we_sent(keygen: Any) -> None:
    user = keygen.players[0]
    expectation = keygen.expectation()
    again = keygen.register(user).authorization
    with pytest.raises(VerificationFailed, match="our own"):
        verify_roster(
            keygen.signed_roster,
            RosterExpectation(keygen.manifest, keygen.recipients, expectation.participants, again),
        )


def test_the_status_beside_the_roster_must_agree(keygen: Any) -> None:
    secret = keygen.credentials.session_secret
    other = encrypt_field(secret, Context.AGGREGATE_PUBLIC_KEY, SecretKey.generate().public_key)
    with pytest.raises(VerificationFailed, match="differs from the status"):
        open_roster(secret, keygen.expectation(), **{**keygen.encrypted_status(), "encrypted_aggregate": other})
    status = keygen.encrypted_status()
    status["encrypted_subset_aggregates"].popitem()
    with pytest.raises(VerificationFailed, match="differ from the status"):
        open_roster(secret, keygen.expectation(), **status)


def test_a_tweaked_roster_is_refused(keygen: Any) -> None:
    text = keygen.signed_roster.to_json().replace('{"type":"none"}', '{"type":"unspendable_taproot"}')
    with pytest.raises(Refused, match="taproot_tweak"):
        SignedRoster.from_json(text)
