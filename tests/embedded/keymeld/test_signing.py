"""Every refusal of batches and approvals (keymeld sections 3.6, 3.7, 4.5, 4.6, 4.8)."""

from __future__ import annotations

import asyncio
import uuid

import msgspec
import pytest

from coordinator.embedded.keymeld.errors import BadRequest
from coordinator.embedded.keymeld.gateway.wire import SigningRequest
from coordinator_core.secp256k1 import SecretKey

MESSAGE = b"\x21" * 32
STRANGER = "01890a5d-ac96-774b-bcce-0000000000ff"
POINT = SecretKey.generate().public_key.hex()


@pytest.fixture
async def party(make_party):
    return await make_party(max_signing_sessions=3).completed()


@pytest.fixture
async def free_party(make_party):
    return await make_party(approvals=False).completed()


@pytest.mark.parametrize("count", [0, 101])
async def test_one_to_a_hundred_items(party, refused, count):
    body = party.signing_body([party.item(MESSAGE) for _ in range(count)])
    refused(await party.start_signing(body), 400, "1 to 100")


async def test_item_ids_are_unique(party, refused):
    item = party.item(MESSAGE)
    refused(await party.start_signing(party.signing_body([item, item])), 400, "twice")


@pytest.mark.parametrize("timeout", [0, 86_401])
async def test_timeouts_are_bounded(party, refused, timeout):
    body = party.signing_body([party.item(MESSAGE)], timeout=timeout)
    refused(await party.start_signing(body), 400, "timeout_secs")


async def test_the_timeout_is_the_authorized_one(party, refused):
    body = {**party.signing_body([party.item(MESSAGE)]), "timeout_secs": 599}
    refused(await party.start_signing(body), 400, "timeout")


async def test_a_batch_needs_the_signing_keys_signature(party, refused):
    body = party.signing_body([party.item(MESSAGE)])
    changed = {**body, "batch_items": [party.item(MESSAGE)]}
    refused(await party.start_signing(changed), 401, "signing authorization")
    honest, party.creator = party.creator, party.session_key
    forged = party.signing_body([party.item(MESSAGE)])
    party.creator = honest
    refused(await party.start_signing(forged), 401, "signing authorization")
    assert (await party.start_signing(body)).status_code == 200


async def test_an_id_serves_once(party, refused):
    body = party.signing_body([party.item(MESSAGE)])
    answer = await party.start_signing(body)
    assert answer.json()["status"] == "collecting_participants"
    assert answer.json()["participants_count"] == 4
    refused(await party.start_signing(body), 400, "Signing session already exists")


async def test_the_quota_comes_before_the_batch_signature(party, refused):
    bodies = [party.signing_body([party.item(MESSAGE)]) for _ in range(3)]
    for body in bodies:
        assert (await party.start_signing(body)).status_code == 200
    probe = {**party.signing_body([party.item(MESSAGE)]), "batch_items": [party.item(MESSAGE)]}
    refused(await party.start_signing(probe), 400, "Quota exceeded: maximum 3 signing sessions")
    for body in bodies:
        assert (await party.signing_status(body["signing_session_id"]))["batch_items"] == body["batch_items"]


async def test_the_quota_holds_for_batches_at_once(party):
    bodies = [party.signing_body([party.item(MESSAGE)]) for _ in range(8)]
    answers = await asyncio.gather(*(party.start_signing(body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [400] * 5


async def test_the_quota_is_checked_again_where_it_is_counted(party, gateway):
    body = party.signing_body([party.item(MESSAGE)])
    with pytest.raises(BadRequest, match="Quota exceeded"):
        gateway.services.signings.create(msgspec.convert(body, SigningRequest), 0, 1)


async def test_a_failed_session_uses_the_quota_too(make_party, refused):
    party = await make_party(max_signing_sessions=1, approvals=False).completed()
    assert (await party.sign([party.item(MESSAGE, subset=STRANGER)]))["status"] == "failed"
    refused(await party.start_signing(party.signing_body([party.item(MESSAGE)])), 400, "Quota exceeded")


async def test_the_keygen_has_to_be_completed(make_party, refused):
    party = await make_party().collecting()
    answer = await party.start_signing(party.signing_body([party.item(MESSAGE)]))
    refused(answer, 400, "must be completed")


async def test_nothing_is_signed_before_the_last_approval(party):
    body = party.signing_body([party.item(MESSAGE)])
    signing_id = body["signing_session_id"]
    await party.start_signing(body)
    for count, user in enumerate(party.players, start=1):
        before = await party.signing_status(signing_id)
        assert before["status"] == "collecting_participants"
        assert before["participants_requiring_approval"] == sorted(party.players)
        assert len(before["approved_participants"]) == count - 1
        assert before["batch_results"] == []
        answer = await party.approve(user, body)
        assert answer.status_code == 200
        assert answer.content == b""
    assert (await party.wait_for_signing(signing_id))["status"] == "completed"


async def test_players_read_the_batch_with_their_own_header(party):
    body = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    read = await party.signing_status(body["signing_session_id"], party.players[0])
    assert read["batch_items"] == body["batch_items"]
    encrypted = read["batch_items"][0]["signing_mode"]["encrypted_message"]
    assert party.decrypt(encrypted, "session_data") == MESSAGE.hex().encode()


async def test_an_approval_is_of_one_batch_one_session_and_one_user(party, refused):
    body = party.signing_body([party.item(MESSAGE)])
    other = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    user, neighbour = party.players[:2]
    refused(await party.approve(user, body, party.approval(user, other)), 401, "approval")
    mixed = {**other, "signing_session_id": body["signing_session_id"]}
    refused(await party.approve(user, body, party.approval(user, mixed)), 401, "approval")
    refused(await party.approve(user, body, party.approval(neighbour, body)), 400, "another participant")
    stolen = {**party.approval(neighbour, body), "user_id": user}
    refused(await party.approve(user, body, stolen), 401, "approval")


@pytest.mark.parametrize("offset", [-301, 31])
async def test_an_approval_is_fresh(party, refused, clock, offset):
    body = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    user = party.players[0]
    approval = party.approval(user, body, timestamp=clock.now + offset)
    refused(await party.approve(user, body, approval), 400, "timestamp")


async def test_all_approvals_are_collected_within_their_validity(party, clock):
    body = party.signing_body([party.item(MESSAGE)], timeout=3600)
    signing_id = body["signing_session_id"]
    await party.start_signing(body)
    first, *others = party.players
    await party.approve(first, body)
    clock.now += 301
    assert (await party.signing_status(signing_id))["approved_participants"] == []
    for user in others:
        await party.approve(user, body)
    assert (await party.signing_status(signing_id))["status"] == "collecting_participants"
    await party.approve(first, body)
    assert (await party.wait_for_signing(signing_id))["status"] == "completed"


async def test_an_ended_session_takes_no_approval(party, refused, clock):
    body = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    clock.now += 600
    refused(await party.approve(party.players[0], body), 400, "not collecting approvals")
    status = await party.signing_status(body["signing_session_id"])
    assert status["status"] == "failed"
    assert "expired" in status["batch_results"][0]["error"]


async def test_an_unknown_session_or_user(party, refused):
    body = party.signing_body([party.item(MESSAGE)])
    user = party.players[0]
    refused(await party.approve(user, body), 404)
    await party.start_signing(body)
    party.keys[STRANGER] = SecretKey.generate()
    path = f"/signing/{body['signing_session_id']}/status/{STRANGER}"
    header = party.user_header(STRANGER, body["signing_session_id"])
    refused(await party.get(path, header), 401, "not registered")


def adaptor(**changes):
    config = {"adaptor_id": str(uuid.uuid4()), "adaptor_type": "Single", "adaptor_points": [POINT], "hints": None}
    return {**config, **changes}


def changed_item(party, **changes):
    return {**party.item(MESSAGE), **changes}


def message_item(party, plaintext, context="session_data"):
    mode = {"type": "regular", "encrypted_message": party.encrypt(plaintext, context)}
    return changed_item(party, signing_mode=mode)


TWICE = adaptor()
ITEM_RULES = {
    "unknown subset": (lambda p: [p.item(MESSAGE, subset=STRANGER)], "unknown"),
    "And adaptor": (
        lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_type="And", adaptor_points=[POINT, POINT])])],
        "'And'",
    ),
    "Or adaptor": (lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_type="Or")])], "'Or'"),
    "two points": (lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_points=[POINT] * 2)])], "exactly one point"),
    "no point": (lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_points=[])])], "exactly one point"),
    "bad point": (lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_points=["02" + "ff" * 32])])], "point"),
    "bad hex": (lambda p: [p.item(MESSAGE, adaptors=[adaptor(adaptor_points=["xyz"])])], "hexadecimal"),
    "no adaptor": (lambda p: [p.item(MESSAGE, adaptors=[])], "is empty"),
    "adaptor id twice": (lambda p: [p.item(MESSAGE, adaptors=[TWICE, TWICE])], "adaptor id occurs twice"),
    "adaptor id twice in a batch": (
        lambda p: [p.item(MESSAGE, adaptors=[TWICE]), p.item(MESSAGE, adaptors=[TWICE])],
        "adaptor id occurs twice",
    ),
    "short message": (lambda p: [message_item(p, MESSAGE[:31].hex().encode())], "not 32 bytes"),
    "raw message": (lambda p: [message_item(p, MESSAGE)], "hexadecimal"),
    "message of another context": (lambda p: [message_item(p, MESSAGE.hex().encode(), "signature")], "context"),
    "message in the clear": (
        lambda p: [changed_item(p, signing_mode={"type": "regular", "encrypted_message": MESSAGE.hex()})],
        "encrypted_message",
    ),
    "empty tweak": (lambda p: [changed_item(p, encrypted_taproot_tweak="")], "encrypted_taproot_tweak"),
    "tweak beyond the order": (
        lambda p: [p.item(MESSAGE, tweak={"type": "plain_tweak", "tweak": [255] * 32})],
        "tweak",
    ),
}


@pytest.mark.parametrize("rule", ITEM_RULES)
async def test_a_bad_item_fails_the_session_before_nonces(free_party, rule):
    items, text = ITEM_RULES[rule]
    good = free_party.item(MESSAGE)
    status = await free_party.sign([good, *items(free_party)])
    assert status["status"] == "failed"
    assert all(result["signature"] is None and text in result["error"] for result in status["batch_results"])
    assert (await free_party.sign([free_party.item(MESSAGE)]))["status"] == "completed"


async def test_a_subset_without_the_coordinator_does_not_sign(make_party):
    party = make_party(approvals=False)
    subset_id = str(uuid.uuid4())
    party.manifest["subset_definitions"].append({"subset_id": subset_id, "participants": party.players[:2]})
    await party.completed()
    status = await party.sign([party.item(MESSAGE, subset=subset_id)])
    assert status["status"] == "failed"
    assert "lacks the coordinator" in status["batch_results"][0]["error"]
