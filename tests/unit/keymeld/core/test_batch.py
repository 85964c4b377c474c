from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused, VerificationFailed
from coordinator_core.keymeld.approval import ParticipantApproval, accept_approval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import Adaptor, EncryptedItem, PlainItem
from coordinator_core.keymeld.canonical import canonical_json
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.plan import fresh_id
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds, UnixTime

SIGNING = "01890a5d-ac96-774b-bcce-b302099a8058"
POINT = SecretKey.from_bytes(b"\x77" * 32).public_key


def plain(adaptor: bool = False, subset: str | None = None) -> PlainItem:
    return PlainItem(fresh_id(), b"\x11" * 32, Adaptor(fresh_id(), POINT) if adaptor else None, subset)


def batch_of(keygen: Any, items: list[EncryptedItem], signing: str = SIGNING) -> SignedBatch:
    key = keygen.credentials.creator_key
    return SignedBatch.sign(keygen.keygen_session_id, signing, Seconds(7200), items, key)


@pytest.mark.parametrize("adaptor", [False, True])
@pytest.mark.parametrize("subset", [None, "01890a5d-ac96-774b-bcce-00000000000c"])
def test_an_item_survives_encryption_and_the_wire(secret: Secret, adaptor: bool, subset: str | None) -> None:
    item = plain(adaptor, subset)
    encrypted = EncryptedItem.encrypt(item, secret)
    assert encrypted.decrypt(secret) == item
    wire = json.loads(canonical_json(encrypted.wire(item.message)))
    assert wire["message_hash"] == [0x11] * 32
    assert wire["signing_mode"]["type"] == ("adaptor" if adaptor else "regular")
    assert EncryptedItem.from_wire(wire, "item") == encrypted
    assert EncryptedItem.from_value(json.loads(canonical_json(encrypted.payload())), "item") == encrypted


def test_message_hash_of_the_wire_is_not_trusted(secret: Secret) -> None:
    item = plain()
    wire = EncryptedItem.encrypt(item, secret).wire(bytes(32))
    assert EncryptedItem.from_wire(wire, "item").decrypt(secret).message == item.message


def test_another_session_secret_opens_nothing(secret: Secret) -> None:
    with pytest.raises(VerificationFailed, match="does not decrypt"):
        EncryptedItem.encrypt(plain(), secret).decrypt(Secret.random(32))


def rebuilt(item: EncryptedItem, **changes: Any) -> EncryptedItem:
    members = {name: getattr(item, name) for name in EncryptedItem.__struct_fields__}
    return EncryptedItem(**{**members, **changes})


def test_a_tweak_is_refused(secret: Secret) -> None:
    for tweak in (b'{"type":"unspendable_taproot"}', b'{"type":"none","x":1}', b"[]"):
        text = encrypt_field(secret, Context.SESSION_DATA, tweak)
        item = rebuilt(EncryptedItem.encrypt(plain(), secret), encrypted_taproot_tweak=text)
        with pytest.raises(Refused, match="tweak"):
            item.decrypt(secret)


def adaptor_config(**changes: Any) -> dict[str, Any]:
    config = {"adaptor_id": fresh_id(), "adaptor_type": "Single", "adaptor_points": [POINT.hex()], "hints": None}
    return {**config, **changes}


@pytest.mark.parametrize(
    "configs",
    [
        [],
        [adaptor_config(), adaptor_config()],
        [adaptor_config(adaptor_type="And")],
        [adaptor_config(adaptor_points=[])],
        [adaptor_config(adaptor_points=[POINT.hex(), POINT.hex()])],
        [adaptor_config(adaptor_points=["02" + "00" * 32])],
        [adaptor_config(hints=[])],
        {"adaptor_id": "x"},
    ],
)
def test_only_one_single_adaptor_point_is_read(secret: Secret, configs: Any) -> None:
    text = encrypt_field(secret, Context.ADAPTOR_CONFIGS, canonical_json(configs))
    item = rebuilt(EncryptedItem.encrypt(plain(True), secret), encrypted_adaptor_configs=text)
    with pytest.raises(InvalidInput, match="encrypted_adaptor_configs"):
        item.decrypt(secret)


def test_a_field_cannot_stand_in_anothers_place(secret: Secret) -> None:
    item = EncryptedItem.encrypt(plain(True), secret)
    swapped = rebuilt(item, encrypted_message=item.encrypted_adaptor_configs)
    with pytest.raises(InvalidInput, match="another purpose"):
        swapped.decrypt(secret)


def test_the_message_is_hex_text_of_32_bytes(secret: Secret) -> None:
    for message in (b"\x11" * 32, b"11" * 31, b"AA" * 32, b"\xff\xfe"):
        text = encrypt_field(secret, Context.SESSION_DATA, message)
        item = rebuilt(EncryptedItem.encrypt(plain(), secret), encrypted_message=text)
        with pytest.raises(InvalidInput, match="message"):
            item.decrypt(secret)


def test_a_batch_is_bound_to_session_timeout_and_every_ciphertext(keygen: Any, secret: Secret) -> None:
    items = [EncryptedItem.encrypt(plain(), secret) for _ in range(3)]
    batch = batch_of(keygen, items)
    batch.verify(keygen.manifest)
    assert SignedBatch.from_json(batch.to_json()) == batch
    for change in (
        {"signing_session_id": fresh_id()},
        {"timeout_secs": Seconds(7201)},
        {"items": batch.items[:2]},
        {"items": (batch.items[1], batch.items[0], batch.items[2])},
        {"items": (rebuilt(items[0], encrypted_message="00"), *items[1:])},
        {"items": (rebuilt(items[0], subset_id=fresh_id()), *items[1:])},
    ):
        members = {name: getattr(batch, name) for name in SignedBatch.__struct_fields__}
        with pytest.raises(InvalidSignature):
            SignedBatch(**{**members, **change}).verify(keygen.manifest)


def test_limits_of_a_batch(keygen: Any, secret: Secret) -> None:
    item = EncryptedItem.encrypt(plain(), secret)
    copies = [rebuilt(item, batch_item_id=fresh_id()) for _ in range(101)]
    assert len(batch_of(keygen, copies[:100]).items) == 100
    for items in ([], copies, [item, item]):
        with pytest.raises(InvalidInput, match=r"batch\.items"):
            batch_of(keygen, items)


def test_an_approval_is_for_one_session_one_time_and_these_ciphertexts(keygen: Any, secret: Secret) -> None:
    items = (EncryptedItem.encrypt(plain(), secret), EncryptedItem.encrypt(plain(), secret))
    user = keygen.user(keygen.players[0])
    approval = ParticipantApproval.sign(user, SIGNING, items, UnixTime(1_700_000_000))
    assert ParticipantApproval.from_json(approval.to_json()) == approval
    right: dict[str, Any] = {
        "keygen_session_id": keygen.keygen_session_id,
        "signing_session_id": SIGNING,
        "items": items,
        "auth_public_key": user.auth_key.public_key,
    }
    approval.verify(**right)
    other = ParticipantApproval(approval.user_id, UnixTime(1_700_000_001), approval.signature)
    with pytest.raises(InvalidSignature):
        other.verify(**right)
    for change in (
        {"keygen_session_id": SIGNING},
        {"signing_session_id": keygen.keygen_session_id},
        {"items": items[::-1]},
        {"auth_public_key": keygen.user(keygen.players[1]).auth_key.public_key},
    ):
        with pytest.raises(InvalidSignature):
            approval.verify(**{**right, **change})


@pytest.mark.parametrize(("age", "fine"), [(0, True), (120, True), (121, False), (-30, True), (-31, False)])
def test_an_approval_is_forwarded_while_fresh(keygen: Any, age: int, fine: bool) -> None:
    approval = ParticipantApproval(keygen.players[0], UnixTime(1_700_000_000), bytes(64))
    now = UnixTime(1_700_000_000 + age)
    if fine:
        approval.check_age(now)
    else:
        with pytest.raises(Refused, match="approval"):
            approval.check_age(now)


AT = UnixTime(1_700_000_000)


def test_an_approval_and_its_header_are_accepted_together(keygen: Any, secret: Secret) -> None:
    items = (EncryptedItem.encrypt(plain(), secret),)
    user, other = (keygen.user(player) for player in keygen.players[:2])
    approval, header = ParticipantApproval.sign(user, SIGNING, items, AT), user.header(SIGNING, AT)
    right: dict[str, Any] = {
        "registration": keygen.registrations[user.user_id].authorization.context,
        "signing_session_id": SIGNING,
        "items": items,
        "now": UnixTime(AT + 120),
    }
    accept_approval(approval, header, **right)
    stale = user.header(SIGNING, UnixTime(AT - 1))
    for wrong_header, error in (
        (other.header(SIGNING, AT), InvalidSignature),
        (user.header(keygen.keygen_session_id, AT), InvalidSignature),
        (stale, Refused),
        ("v1", InvalidInput),
    ):
        with pytest.raises(error):
            accept_approval(approval, wrong_header, **right)
    strangers = keygen.registrations[other.user_id].authorization.context
    for change, error in (
        ({"registration": strangers}, InvalidInput),
        ({"signing_session_id": keygen.keygen_session_id}, InvalidSignature),
        ({"items": ()}, InvalidSignature),
        ({"now": UnixTime(AT + 121)}, Refused),
    ):
        with pytest.raises(error):
            accept_approval(approval, header, **{**right, **change})


def test_a_stale_approval_is_refused_even_with_a_fresh_header(keygen: Any, secret: Secret) -> None:
    items = (EncryptedItem.encrypt(plain(), secret),)
    user = keygen.user(keygen.players[0])
    now = UnixTime(AT + 121)
    with pytest.raises(Refused, match="approval"):
        accept_approval(
            ParticipantApproval.sign(user, SIGNING, items, AT),
            user.header(SIGNING, now),
            registration=keygen.registrations[user.user_id].authorization.context,
            signing_session_id=SIGNING,
            items=items,
            now=now,
        )


def test_a_stored_batch_is_checked_when_it_is_read(keygen: Any, secret: Secret) -> None:
    text = json.loads(batch_of(keygen, [EncryptedItem.encrypt(plain(), secret)]).to_json())
    for changes in ({"items": []}, {"items": text["items"] * 2}, {"timeout_secs": 0}, {"timeout_secs": 86_401}):
        with pytest.raises(InvalidInput, match="batch"):
            SignedBatch.from_json(json.dumps({**text, **changes}))


def test_a_batch_of_another_session_is_named_as_such(keygen: Any, secret: Secret) -> None:
    items = [EncryptedItem.encrypt(plain(), secret)]
    other = SignedBatch.sign(SIGNING, SIGNING, Seconds(60), items, keygen.credentials.creator_key)
    with pytest.raises(InvalidInput, match="another session"):
        other.verify(keygen.manifest)


@pytest.mark.parametrize("timeout", [0, 86_401])
def test_the_timeout_of_a_batch_is_bounded(keygen: Any, secret: Secret, timeout: int) -> None:
    items = [EncryptedItem.encrypt(plain(), secret)]
    with pytest.raises(InvalidInput, match="timeout_secs"):
        SignedBatch.sign(keygen.keygen_session_id, SIGNING, Seconds(timeout), items, keygen.credentials.creator_key)


@pytest.mark.parametrize("message", [b"", bytes(31), bytes(33)])
def test_only_messages_of_32_bytes_are_encrypted(secret: Secret, message: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"item\.message"):
        EncryptedItem.encrypt(PlainItem(fresh_id(), message, None, None), secret)


def test_an_unknown_signing_mode_is_refused(secret: Secret) -> None:
    wire = EncryptedItem.encrypt(plain(), secret).wire(bytes(32))
    mode = {**wire["signing_mode"], "type": "escrow"}  # type: ignore[dict-item]
    with pytest.raises(InvalidInput, match="no signing mode"):
        EncryptedItem.from_wire({**wire, "signing_mode": mode}, "item")
