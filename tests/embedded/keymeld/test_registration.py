"""Every refusal of a registration, in the order of keymeld section 4.3, and the envelope checks of 3.4."""

from __future__ import annotations

import asyncio

import pytest

from coordinator_core.secp256k1 import SecretKey, ecdsa_sign

STRANGER = "01890a5d-ac96-774b-bcce-0000000000ff"


@pytest.fixture
async def party(make_party):
    return await make_party().collecting()


async def test_the_path_and_the_body_name_one_session(party, refused):
    body = {**party.register_body(party.users[1]), "keygen_session_id": STRANGER}
    refused(await party.register(party.users[1], body), 400, "path")


async def test_collecting_ends_with_expiry_and_with_completion(party, refused, clock):
    for user in party.users:
        await party.register(user)
    await party.wait_for_keygen()
    refused(await party.register(party.users[1]), 409, "not collecting")


async def test_an_expired_session_takes_nobody(party, refused, clock):
    body = party.register_body(party.users[1])
    clock.now += 3600
    refused(await party.register(party.users[1], body), 409, "expired")
    refused(await party.keygen_status(), 404)


async def test_strangers_are_refused(party, refused):
    body = {**party.register_body(party.users[1]), "user_id": STRANGER}
    refused(await party.register(party.users[1], body), 401, "not expected")


async def test_the_slot_credential_signs(party, refused):
    user, other = party.users[1], party.users[2]
    forged = party.register_body(user, slot=party.slots[other])
    refused(await party.register(user, forged), 401, "slot")
    forged = party.register_body(user, slot=party.session_key)
    refused(await party.register(user, forged), 401, "slot")


async def test_the_slot_signature_covers_the_ciphertext(party, refused):
    user = party.users[1]
    body, other = party.register_body(user), party.register_body(user)
    body["encrypted_private_key"] = other["encrypted_private_key"]
    refused(await party.register(user, body), 401, "ciphertext_hash")


async def test_a_registration_serves_one_user_only(party, refused):
    user, other = party.users[1], party.users[2]
    body = {**party.register_body(user), "user_id": other}
    refused(await party.register(other, body), 401, "another user")


async def test_assigned_enclave_key_and_epoch(party, refused):
    user = party.users[1]
    assigned = party.reserved["user_enclave_assignments"][user]
    other_key = next(e["public_key"] for i, e in party.enclaves.items() if i != assigned)
    body = {**party.register_body(user), "enclave_public_key": other_key}
    refused(await party.register(user, body), 400, "must use assigned enclave")
    for epoch in (0, 2):
        body = party.register_body(user, context=party.context(user, enclave_key_epoch=epoch))
        refused(await party.register(user, body), 400, f"epoch {epoch}, but current epoch is 1")


@pytest.mark.parametrize("field", ["public_key", "auth_pubkey"])
async def test_fields_equal_the_context(party, refused, field):
    user = party.users[1]
    body = {**party.register_body(user), field: list(SecretKey.generate().public_key)}
    refused(await party.register(user, body), 400, "authorized context")


async def test_the_approval_flag_equals_the_context(party, refused):
    user = party.users[1]
    body = {**party.register_body(user), "require_signing_approval": False}
    refused(await party.register(user, body), 400, "authorized context")


async def test_the_context_names_the_assigned_enclave(party, refused):
    user = party.users[1]
    assigned = party.reserved["user_enclave_assignments"][user]
    body = party.register_body(user, context=party.context(user, enclave_id=1 - assigned))
    refused(await party.register(user, body), 400, "authorized context")


@pytest.mark.parametrize(("field", "value"), [("manifest_hash", [1] * 32), ("keygen_session_id", STRANGER)])
async def test_a_registration_serves_one_session_and_manifest(party, refused, field, value):
    user = party.users[1]
    body = party.register_body(user, context=party.context(user, **{field: value}))
    refused(await party.register(user, body), 401, field)


async def test_the_enclave_opens_the_envelope_at_once(party, refused):
    user = party.users[1]
    text = "Enclave rejected registration"
    assigned = party.reserved["user_enclave_assignments"][user]
    other = next(e["public_key"] for i, e in party.enclaves.items() if i != assigned)
    refused(await party.register(user, party.register_body(user, recipient=other)), 400, text)
    bad_envelope = party.register_body(user, envelope={"hello": 1})
    refused(await party.register(user, bad_envelope), 400, text)


async def test_an_envelope_for_another_context_is_refused(party, refused):
    user = party.users[1]
    envelope = party.envelope(user, party.context(user, require_signing_approval=False))
    answer = await party.register(user, party.register_body(user, envelope=envelope))
    refused(answer, 400, "envelope.context")


@pytest.mark.parametrize("extra", [{"escrow": {"policy": {}}}, {"deposit": True}], ids=["escrow", "deposit"])
async def test_escrow_and_deposit_envelopes_are_refused(party, refused, extra):
    user = party.users[1]
    envelope = {**party.envelope(user, party.context(user)), **extra}
    refused(await party.register(user, party.register_body(user, envelope=envelope)), 400, "envelope.")


async def test_the_private_key_is_that_of_the_public_key(party, refused):
    user = party.users[1]
    envelope = {**party.envelope(user, party.context(user)), "private_key": [7] * 32}
    answer = await party.register(user, party.register_body(user, envelope=envelope))
    refused(answer, 400, "context.public_key")
    envelope["private_key"] = [0] * 32
    answer = await party.register(user, party.register_body(user, envelope=envelope))
    refused(answer, 400, "envelope.private_key")


async def test_the_auth_key_is_derived_from_the_private_key(party, refused):
    user = party.users[1]
    context = party.context(user, auth_pubkey=list(SecretKey.generate().public_key))
    refused(await party.register(user, party.register_body(user, context=context)), 400, "auth_pubkey")


async def test_possession_is_proved_by_the_key_itself(party, refused):
    user = party.users[1]
    envelope = party.envelope(user, party.context(user))
    envelope["proof_signature"] = list(ecdsa_sign(b"\x01" * 32, party.keys[user]))
    answer = await party.register(user, party.register_body(user, envelope=envelope))
    refused(answer, 400, "proof of possession")


async def test_a_slot_is_claimed_once_and_an_identical_repetition_is_answered(party, refused):
    user = party.users[1]
    body = party.register_body(user)
    first, again = await party.register(user, body), await party.register(user, body)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    refused(await party.register(user), 409, "Participant slot is already claimed")


async def test_of_many_registrations_at_once_one_claims_the_slot(party):
    user = party.users[1]
    answers = await asyncio.gather(*(party.register(user) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_one_key_for_two_participants_fails_the_keygen(make_party, refused):
    party = make_party()
    party.keys[party.users[2]] = party.keys[party.users[1]]
    await party.collecting()
    for user in party.users:
        assert (await party.register(user)).status_code == 200
    for _ in range(10_000):
        answer = await party.keygen_status()
        if answer.status_code != 200:
            break
    refused(answer, 400, "Cannot get status for failed session")


async def test_an_unknown_session_is_not_found(make_party, refused):
    party = make_party()
    refused(await party.keygen_status(), 404)
    refused(await party.get(f"/keygen/{party.keygen_id}/slots", party.session_header()), 404)
