"""What a player refuses before it seals a key and before it approves."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator_core.errors import Fault, InvalidInput, Refused
from coordinator_core.keymeld.audit import (
    BatchRefused,
    ManifestRefused,
    OpenSession,
    audit_manifest,
    audit_session_secret,
    audit_sessions,
)
from coordinator_core.keymeld.batch_item import Adaptor, EncryptedItem, PlainItem
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.manifest import SessionManifest, SignedManifest, Subset
from coordinator_core.keymeld.plan import SigningPlan, fresh_id, plan_batches
from coordinator_core.musig2 import SigningItem
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds


def resigned(keygen: Any, **changes: Any) -> SignedManifest:
    members = {name: getattr(keygen.manifest.manifest, name) for name in SessionManifest.__struct_fields__}
    return SignedManifest.sign(SessionManifest(**{**members, **changes}), keygen.credentials.creator_key)


def audit(keygen: Any, manifest: SignedManifest, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "slot_keys": keygen.slot_keys,
        "places": 1,
        "keygen_session_id": keygen.keygen_session_id,
    }
    audit_manifest(manifest, **{**arguments, **changes})


def test_the_manifest_that_credentials_make_is_accepted(keygen: Any) -> None:
    audit(keygen, keygen.manifest)


def manifest_cases(keygen: Any) -> dict[str, tuple[str, SignedManifest]]:
    manifest = keygen.manifest.manifest
    subsets = manifest.subset_definitions
    verifiers = dict(manifest.participant_verifiers)
    stranger = "01890a5d-ac96-774b-bcce-ffffffffffff"
    pair = Subset(fresh_id(), (keygen.coordinator, *keygen.players[:2]))
    return {
        "larger quota": ("max_signing_sessions", resigned(keygen, max_signing_sessions=5)),
        "no quota": ("max_signing_sessions", resigned(keygen, max_signing_sessions=None)),
        "timeout": ("timeout_secs", resigned(keygen, timeout_secs=Seconds(3600))),
        "missing subset": ("subset_definitions", resigned(keygen, subset_definitions=subsets[1:])),
        "extra subset": ("subset_definitions", resigned(keygen, subset_definitions=(*subsets, pair))),
        "extra participant": (
            "participant_verifiers",
            resigned(keygen, participant_verifiers=verifiers | {stranger: SecretKey.generate().public_key}),
        ),
        "another slot key": (
            "participant_verifiers",
            resigned(keygen, participant_verifiers=verifiers | {keygen.players[2]: SecretKey.generate().public_key}),
        ),
        "another session": ("keygen_session_id", resigned(keygen, keygen_session_id=fresh_id())),
        "coordinator is a player": (
            "coordinator_user_id",
            resigned(keygen, coordinator_user_id=keygen.players[0], subset_definitions=()),
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "larger quota",
        "no quota",
        "timeout",
        "missing subset",
        "extra subset",
        "extra participant",
        "another slot key",
        "another session",
        "coordinator is a player",
    ],
)
def test_a_tampered_manifest_is_refused(keygen: Any, case: str) -> None:
    field, manifest = manifest_cases(keygen)[case]
    with pytest.raises(ManifestRefused) as caught:
        audit(keygen, manifest)
    assert caught.value.field == f"manifest.{field}"
    assert caught.value.fault is Fault.COORDINATOR


def test_a_player_who_is_left_out_refuses(keygen: Any) -> None:
    with pytest.raises(ManifestRefused, match="exactly the entries"):
        audit(keygen, keygen.manifest, slot_keys={**keygen.slot_keys, fresh_id(): SecretKey.generate().public_key})


def test_session_secret_is_the_manifests(keygen: Any) -> None:
    access = audit_session_secret(keygen.manifest, keygen.credentials.session_secret)
    assert access.public_key == keygen.manifest.manifest.session_public_key
    with pytest.raises(ManifestRefused, match="another secret"):
        audit_session_secret(keygen.manifest, Secret.random(32))


def test_a_session_tweak_is_refused(keygen: Any) -> None:
    secret = keygen.credentials.session_secret
    tweak = encrypt_field(secret, Context.TAPROOT_TWEAK, b'{"type":"plain_tweak","tweak":[1]}')
    with pytest.raises(Refused, match="tweak"):
        audit_session_secret(resigned(keygen, encrypted_taproot_tweak=tweak), secret)


Batches = list[tuple[PlainItem, ...]]


def sessions_of(keygen: Any, batches: Batches) -> list[OpenSession]:
    secret = keygen.credentials.session_secret
    return [
        OpenSession(fresh_id(), None, tuple(EncryptedItem.encrypt(item, secret) for item in batch)) for batch in batches
    ]


def check(keygen: Any, sessions: list[OpenSession], expected: list[SigningItem], quota: int) -> None:
    audit_sessions(
        sessions,
        expected=expected,
        roster=keygen.verified(),
        session_secret=keygen.credentials.session_secret,
        max_signing_sessions=quota,
    )


@pytest.fixture
def expected(keygen: Any) -> list[SigningItem]:
    return keygen.contract_items()


@pytest.fixture
def batch(keygen: Any, expected: list[SigningItem]) -> tuple[PlainItem, ...]:
    (only,) = plan_batches(expected, keygen.verified())
    return only


QUOTA = SigningPlan.of(3, 1).max_signing_sessions


def test_the_contracts_items_in_any_order_are_approved(
    keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]
) -> None:
    check(keygen, sessions_of(keygen, [batch[::-1]]), expected, QUOTA)


def altered(batch: tuple[PlainItem, ...], index: int, **changes: Any) -> tuple[PlainItem, ...]:
    members = {name: getattr(batch[index], name) for name in PlainItem.__struct_fields__}
    return (*batch[:index], PlainItem(**{**members, **changes}), *batch[index + 1 :])


def test_one_altered_item_is_refused(keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]) -> None:
    cases = {
        "not the contract's": altered(batch, 5, message=sha256(b"theft")),
        "another adaptor point": altered(batch, 0, adaptor=None),
        "another adaptor point, or": altered(batch, 0, adaptor=Adaptor(fresh_id(), SecretKey.generate().public_key)),
        "another subset": altered(batch, 4, subset_id=None),
        "another adaptor point, or none": altered(
            batch, 4, adaptor=Adaptor(fresh_id(), SecretKey.generate().public_key)
        ),
        "second time": (*batch, altered(batch, 3, batch_item_id=fresh_id())[3]),
        "are in none": batch[1:],
    }
    for reason, items in cases.items():
        with pytest.raises(BatchRefused, match=reason):
            check(keygen, sessions_of(keygen, [items]), expected, QUOTA)


def test_an_extra_batch_is_refused(keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]) -> None:
    with pytest.raises(BatchRefused, match="second time"):
        check(keygen, sessions_of(keygen, [batch, batch]), expected, QUOTA)
    with pytest.raises(BatchRefused, match="1 batches"):
        check(keygen, sessions_of(keygen, [batch[:7], batch[7:]]), expected, QUOTA)


def spare(session: OpenSession, of: OpenSession, keep: int | None = None) -> OpenSession:
    return OpenSession(fresh_id(), of.signing_session_id, session.items[:keep])


def test_a_spare_session_holds_exactly_what_it_replaces(
    keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]
) -> None:
    (first,) = sessions_of(keygen, [batch])
    second = spare(first, first)
    check(keygen, [first, second], expected, QUOTA)
    check(keygen, [first, second, spare(first, second)], expected, QUOTA)
    (theft,) = sessions_of(keygen, [altered(batch, 2, message=sha256(b"theft"))])
    for bad in (spare(first, first, 5), spare(theft, first), spare(first, OpenSession(fresh_id(), None, ()))):
        with pytest.raises(BatchRefused, match="exactly the items"):
            check(keygen, [first, bad], expected, QUOTA)


def test_spare_sessions_are_limited_by_the_quota(
    keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]
) -> None:
    (first,) = sessions_of(keygen, [batch])
    spares = [spare(first, first) for _ in range(QUOTA)]
    check(keygen, [first, *spares[: QUOTA - 1]], expected, QUOTA)
    with pytest.raises(BatchRefused, match="quota"):
        check(keygen, [first, *spares], expected, QUOTA)
    with pytest.raises(BatchRefused, match="named twice"):
        check(keygen, [first, spares[0], spares[0]], expected, QUOTA)


def test_an_unknown_subset_is_refused(keygen: Any, expected: list[SigningItem], batch: tuple[PlainItem, ...]) -> None:
    with pytest.raises(InvalidInput, match="not defined"):
        check(keygen, sessions_of(keygen, [altered(batch, 1, subset_id=fresh_id())]), expected, QUOTA)


def test_a_session_is_read_from_the_gateways_status(keygen: Any, batch: tuple[PlainItem, ...]) -> None:
    (session,) = sessions_of(keygen, [batch])
    items = [item.wire(bytes(32)) for item in session.items]
    status = {"signing_session_id": session.signing_session_id, "batch_items": items, "status": "completed"}
    assert OpenSession.from_status(status, session.signing_session_id, None) == session
    for bad in ({**status, "signing_session_id": fresh_id()}, {**status, "batch_items": [{}]}, [], None):
        with pytest.raises(InvalidInput, match="status"):
            OpenSession.from_status(bad, session.signing_session_id, None)
