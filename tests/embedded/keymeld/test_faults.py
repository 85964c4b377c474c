"""Fault switches behind the control endpoint."""

from __future__ import annotations

import pytest

from coordinator_core.musig2 import KeySet
from coordinator_core.secp256k1 import schnorr_verify

MESSAGE = b"\x21" * 32
CONTROL = "/control/faults"


async def switch(control, **order):
    answer = await control.post(CONTROL, json=order)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def gateway(open_gateway, tmp_path):
    return open_gateway(tmp_path / "keymeld")


@pytest.fixture
async def party(make_party):
    return await make_party(approvals=False).completed()


async def test_a_silent_session_hangs_and_a_spare_one_signs_the_same_items(party, control):
    await switch(control, kind="silent", times=1)
    items = [party.item(MESSAGE)]
    silent = party.signing_body(items)
    assert (await party.start_signing(silent)).status_code == 200
    assert (await party.sign(items))["status"] == "completed"
    hung = await party.signing_status(silent["signing_session_id"])
    assert hung["status"] == "initializing_session"
    assert hung["batch_results"] == []


async def test_a_slow_session_ends_later(party, control):
    await switch(control, kind="slow", seconds=0.05, times=1)
    body = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    assert (await party.wait_for_signing(body["signing_session_id"]))["status"] == "completed"


async def test_a_bad_signature_is_bad(party, control):
    await switch(control, kind="bad_signature", times=1)
    item = party.item(MESSAGE)
    key_set = KeySet.aggregate(party.public_keys(party.users))
    for good in (False, True):
        status = await party.sign([item])
        signature = party.decrypt(status["batch_results"][0]["signature"], "signature")
        assert schnorr_verify(signature, MESSAGE, key_set.x_only) is good


async def test_refusals_until_cleared(party, control, refused):
    await switch(control, kind="refuse")
    for _ in range(2):
        answer = await party.start_signing(party.signing_body([party.item(MESSAGE)]))
        refused(answer, 503, "Enclave communication failed")
    assert (await control.get(CONTROL)).json()["faults"][0]["kind"] == "refuse"
    assert (await control.delete(CONTROL)).json() == {"faults": []}
    assert (await party.sign([party.item(MESSAGE)]))["status"] == "completed"


async def test_a_switch_hits_only_its_session_and_operation(make_party, party, control, refused):
    other = await make_party().collecting()
    await switch(control, kind="refuse", operation="keygen", session_id=other.keygen_id)
    assert (await party.sign([party.item(MESSAGE)]))["status"] == "completed"
    refused(await other.register(other.users[0]), 503)
    third = await make_party().collecting()
    assert (await third.register(third.users[0])).status_code == 200


async def test_a_silent_keygen_stays_collecting(make_party, control):
    party = await make_party().collecting()
    await switch(control, kind="silent", operation="keygen")
    for user in party.users:
        assert (await party.register(user)).status_code == 200
    status = (await party.keygen_status()).json()
    assert status["status"] == "collecting_participants"
    assert status["registered_participants"] == 4
    assert status["aggregate_public_key"] is status["encrypted_roster"] is None


@pytest.mark.parametrize(
    "order", [{}, {"kind": "none"}, {"kind": "slow", "seconds": -1}, {"kind": "silent", "times": 0}, []]
)
async def test_unknown_orders_are_refused(control, order):
    assert (await control.post(CONTROL, json=order)).status_code == 422


async def test_the_control_endpoint_takes_json_only(control):
    answer = await control.post(CONTROL, content=b'{"kind":"silent"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_a_new_epoch_ends_what_depended_on_the_old_key(make_party, control, refused):
    collecting, waiting, completed = (
        await make_party().collecting(),
        await make_party().completed(),
        await make_party().completed(),
    )
    open_batch = waiting.signing_body([waiting.item(MESSAGE)])
    await waiting.start_signing(open_batch)
    before = collecting.enclaves[1]
    assert await switch(control, kind="restart", enclave_id=1) == {"enclave_id": 1, "key_epoch": 2}
    await collecting.fetch_enclaves()
    assert collecting.enclaves[1]["key_epoch"] == 2
    assert collecting.enclaves[1]["public_key"] != before["public_key"]
    assert collecting.enclaves[0]["key_epoch"] == 1

    refused(await collecting.keygen_status(), 400, "failed session")
    refused(await collecting.register(collecting.users[0]), 409, "not collecting")
    failed = await waiting.signing_status(open_batch["signing_session_id"])
    assert failed["status"] == "failed"
    assert "new epoch" in failed["batch_results"][0]["error"]
    assert (await completed.keygen_status()).json()["status"] == "completed"
    lost = await completed.sign([completed.item(MESSAGE)])
    assert lost["status"] == "failed"
    assert "this enclave's key" in lost["batch_results"][0]["error"]

    fresh = await make_party(approvals=False).completed()
    assert (await fresh.sign([fresh.item(MESSAGE)]))["status"] == "completed"
    refused_answer = await control.post(CONTROL, json={"kind": "restart", "enclave_id": 9})
    refused(refused_answer, 503)
