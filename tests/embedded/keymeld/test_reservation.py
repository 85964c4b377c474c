"""Every refusal of reserve and initialize (keymeld sections 3.1, 3.2, 4.1, 4.2)."""

from __future__ import annotations

import uuid

import pytest

from coordinator_core.secp256k1 import SecretKey

STRANGER = "01890a5d-ac96-774b-bcce-0000000000ff"


def uncompressed(point: bytes) -> list[int]:
    prime = 2**256 - 2**32 - 977
    x = int.from_bytes(point[1:], "big")
    y = pow(x**3 + 7, (prime + 1) // 4, prime)
    y = y if y % 2 == point[0] % 2 else prime - y
    return [4, *x.to_bytes(32, "big"), *y.to_bytes(32, "big")]


def set_manifest(field, value):
    def change(party):
        party.manifest[field] = value(party) if callable(value) else value

    return change


def subset(party, **changes):
    return [{"subset_id": str(uuid.uuid4()), "participants": party.users[:2], **changes}]


MANIFEST_RULES = {
    "coordinator is no participant": (set_manifest("coordinator_user_id", STRANGER), 400, "coordinator_user_id"),
    "creator key is no point": (set_manifest("creator_pubkey", [2] + [255] * 32), 400, "creator_pubkey"),
    "key of 34 bytes": (set_manifest("signing_pubkey", [2] * 34), 400, "signing_pubkey"),
    "off-curve uncompressed": (set_manifest("signing_pubkey", [4] * 65), 400, "signing_pubkey"),
    "session key is the creator's": (
        set_manifest("session_public_key", lambda p: p.manifest["creator_pubkey"]),
        400,
        "session_public_key",
    ),
    "slot keys equal": (
        set_manifest("participant_verifiers", lambda p: {u: list(p.creator.public_key) for u in sorted(p.users)}),
        400,
        "used twice",
    ),
    "slot key is the session key": (
        set_manifest(
            "participant_verifiers",
            lambda p: {**p.manifest["participant_verifiers"], p.users[0]: list(p.session_key.public_key)},
        ),
        400,
        "used twice",
    ),
    "one slot key twice": (
        set_manifest(
            "participant_verifiers",
            lambda p: {
                u: p.manifest["participant_verifiers"][p.users[1] if u == p.users[0] else u] for u in sorted(p.users)
            },
        ),
        400,
        "used twice",
    ),
    "subset with a stranger": (
        set_manifest("subset_definitions", lambda p: subset(p, participants=[p.users[0], STRANGER])),
        400,
        "not a participant",
    ),
    "subset member twice": (
        set_manifest("subset_definitions", lambda p: subset(p, participants=[p.users[0]] * 2)),
        400,
        "occurs twice",
    ),
    "subset of one": (
        set_manifest("subset_definitions", lambda p: subset(p, participants=p.users[:1])),
        400,
        "at least 2",
    ),
    "subset id twice": (set_manifest("subset_definitions", lambda p: subset(p) * 2), 400, "subset"),
    "201 subsets": (
        set_manifest("subset_definitions", lambda p: [subset(p)[0] for _ in range(201)]),
        400,
        "at most 200",
    ),
    "timeout 0": (set_manifest("timeout_secs", 0), 400, "timeout_secs"),
    "timeout of more than a day": (set_manifest("timeout_secs", 86_401), 400, "timeout_secs"),
    "deposit scope": (
        set_manifest("deposit_scope", {"deposit_session_id": STRANGER, "deposit_digest": [0] * 32, "evidence": []}),
        400,
        "deposit",
    ),
}


@pytest.mark.parametrize("rule", MANIFEST_RULES)
async def test_reserve_refuses_a_manifest(make_party, refused, rule):
    change, status, text = MANIFEST_RULES[rule]
    party = make_party()
    change(party)
    refused(await party.post("/keygen/reserve", party.reserve_body()), status, text)


async def test_reserve_refuses_a_foreign_manifest_signature(make_party, refused):
    party = make_party()
    body = party.reserve_body()
    party.creator = SecretKey.generate()
    body["authorization_manifest"]["signature"] = party.reserve_body()["authorization_manifest"]["signature"]
    refused(await party.post("/keygen/reserve", body), 401, "manifest")


async def test_reserve_refuses_a_high_s_signature(make_party, refused):
    party = make_party()
    body = party.reserve_body()
    signature = bytes(body["authorization_manifest"]["signature"])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(signature[32:], "big")
    body["authorization_manifest"]["signature"] = [*signature[:32], *high.to_bytes(32, "big")]
    refused(await party.post("/keygen/reserve", body), 401, "manifest")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keygen_session_id", STRANGER),
        ("coordinator_user_id", STRANGER),
        ("timeout_secs", 3599),
        ("max_signing_sessions", 7),
        ("encrypted_taproot_tweak", "00"),
        ("subset_definitions", []),
        ("expected_participants", [STRANGER, str(uuid.uuid4())]),
    ],
)
async def test_reserve_refuses_a_field_that_differs_from_the_manifest(make_party, refused, field, value):
    party = make_party()
    refused(await party.post("/keygen/reserve", {**party.reserve_body(), field: value}), 400, field)


async def test_reserve_refuses_a_lone_participant_and_duplicates(make_party, refused):
    party = make_party(players=0)
    refused(await party.post("/keygen/reserve", party.reserve_body()), 400, "expected_participants")
    party = make_party()
    doubled = {**party.reserve_body(), "expected_participants": [*party.users, party.users[0]]}
    refused(await party.post("/keygen/reserve", doubled), 400, "expected_participants")


async def test_a_session_id_serves_once(make_party, refused):
    party = make_party()
    await party.reserve()
    refused(await party.post("/keygen/reserve", party.reserve_body()), 400, "Keygen session already exists")


async def test_keys_may_be_written_uncompressed(make_party):
    party = make_party(approvals=False)
    party.manifest["creator_pubkey"] = uncompressed(party.creator.public_key)
    party.manifest["session_public_key"] = uncompressed(party.session_key.public_key)
    first = party.users[0]
    party.manifest["participant_verifiers"][first] = uncompressed(party.slots[first].public_key)
    await party.completed()
    assert (await party.sign([party.item(b"\x01" * 32)]))["status"] == "completed"


async def test_with_two_enclaves_both_are_used(make_party):
    for _ in range(4):
        reserved = await make_party(players=1).reserve()
        assert set(reserved["user_enclave_assignments"].values()) == {0, 1}


async def test_the_coordinator_need_not_have_the_smallest_id(make_party):
    party = make_party(approvals=False)
    last = max(party.users)
    party.coordinator, party.manifest["coordinator_user_id"] = last, last
    party.manifest["subset_definitions"] = [
        {"subset_id": str(uuid.uuid4()), "participants": [last, user]} for user in party.users if user != last
    ]
    await party.completed()
    subset_id = party.manifest["subset_definitions"][0]["subset_id"]
    assert (await party.sign([party.item(b"\x01" * 32, subset=subset_id)]))["status"] == "completed"


async def post_initialize(party, body):
    return await party.post(f"/keygen/{party.keygen_id}/initialize", body)


def recipients_with(**changes):
    def build(party):
        resolved = {name: change(party) for name, change in changes.items()}
        return party.initialize_body(recipient_authorization=party.recipients(**resolved))

    return build


def keys_of(party):
    return party.recipients()["recipient_public_keys"]


def assigned_to(enclave_of):
    return lambda p: {user: enclave_of(p, user) for user in sorted(p.users)}


def swapped(party, user):
    return 1 - party.reserved["user_enclave_assignments"][user]


RECIPIENT_RULES = {
    "another manifest": (recipients_with(manifest_hash=lambda p: [0] * 32), 401, "manifest_hash"),
    "another session": (recipients_with(keygen_session_id=lambda p: STRANGER), 401, "keygen_session_id"),
    "a user missing": (
        recipients_with(
            user_enclave_assignments=lambda p: {
                u: p.reserved["user_enclave_assignments"][u] for u in sorted(p.users)[1:]
            }
        ),
        401,
        "user_enclave_assignments",
    ),
    "a key of an enclave that serves nobody": (
        recipients_with(recipient_public_keys=lambda p: {**keys_of(p), "7": list(SecretKey.generate().public_key)}),
        401,
        "recipient_public_keys",
    ),
    "one key twice": (
        recipients_with(recipient_public_keys=lambda p: dict.fromkeys(keys_of(p), keys_of(p)["0"])),
        401,
        "occurs twice",
    ),
    "a substituted enclave key": (
        recipients_with(recipient_public_keys=lambda p: {**keys_of(p), "1": list(SecretKey.generate().public_key)}),
        400,
        "Enclave rejected session",
    ),
    "other assignments": (
        recipients_with(user_enclave_assignments=assigned_to(swapped)),
        400,
        "do not match reserved assignments",
    ),
}


@pytest.mark.parametrize("rule", RECIPIENT_RULES)
async def test_initialize_refuses_recipients(make_party, refused, rule):
    build, status, text = RECIPIENT_RULES[rule]
    party = make_party()
    await party.reserve()
    refused(await post_initialize(party, build(party)), status, text)
    await party.initialize()


async def test_initialize_refuses_signatures_of_others(make_party, refused):
    party = make_party()
    await party.reserve()
    good, honest = party.initialize_body(), party.creator
    party.creator = SecretKey.generate()
    forged = party.initialize_body()
    party.creator = honest
    recipients = {**good, "recipient_authorization": forged["recipient_authorization"]}
    refused(await post_initialize(party, recipients), 401, "recipient")
    signature = {**good, "authorization_signature": forged["authorization_signature"]}
    refused(await post_initialize(party, signature), 401, "initialization")
    changed = {**good, "encrypted_session_data": "00"}
    refused(await post_initialize(party, changed), 401, "initialization")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"enclave_key_epoch": 2}, "epoch 2, but current epoch is 1"),
        ({"encrypted_session_secret": "00" * 93}, "encrypted_session_secret"),
        ({"encrypted_session_secret": "zz"}, "encrypted_session_secret"),
        ({"session_public_key": list(SecretKey.generate().public_key)}, "Session public key"),
        ({"coordinator_pubkey": [9] * 33}, "coordinator_pubkey"),
    ],
)
async def test_initialize_refuses_a_wrong_field(make_party, refused, changes, text):
    party = make_party()
    await party.reserve()
    refused(await post_initialize(party, party.initialize_body(**changes)), 400, text)
    await party.initialize()


async def test_initialize_refuses_another_session_secret(make_party, refused):
    party = make_party()
    await party.reserve()
    party.session_secret = bytes(32)
    refused(await post_initialize(party, party.initialize_body()), 400, "encrypted_session_secret")


@pytest.mark.parametrize(
    "tweak", ["", "00", "0d746170726f6f745f747765616b" + "00" * 40], ids=["empty", "no context", "garbage"]
)
async def test_a_tweak_that_does_not_decrypt_is_an_error(make_party, refused, tweak):
    party = make_party()
    party.manifest["encrypted_taproot_tweak"] = tweak
    await party.reserve()
    refused(await post_initialize(party, party.initialize_body()), 400, "encrypted_taproot_tweak")


async def test_initialize_works_once_and_in_time(make_party, refused, clock):
    party = make_party()
    refused(await post_initialize_unknown(party), 404)
    await party.reserve()
    refused(await party.keygen_status(), 400, "Session is reserved but not yet initialized")
    await party.initialize()
    refused(await post_initialize(party, party.initialize_body()), 400, "not in reserved state")
    late = make_party()
    await late.reserve()
    clock.now += 3600
    refused(await post_initialize(late, late.initialize_body()), 409, "expired")


async def post_initialize_unknown(party):
    party.reserved = {
        "user_enclave_assignments": dict.fromkeys(party.users, 0),
        "coordinator_enclave_id": 0,
    }
    await party.fetch_enclaves()
    return await post_initialize(party, party.initialize_body())
