"""What survives the end of the process: sealed sessions within an epoch, never nonces."""

from __future__ import annotations

import pytest

from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator_core.errors import Misuse

MESSAGE = b"\x21" * 32


@pytest.fixture
def gateway(open_gateway, tmp_path):
    return open_gateway(tmp_path / "keymeld")


@pytest.fixture
def restart(gateway, open_gateway, connect, tmp_path):
    """Ends the gateway and opens another on the same directory; parties get a connection to it."""
    current = [gateway]

    def again(*parties):
        current[0].close()
        current[0] = open_gateway(tmp_path / "keymeld")
        client = connect(current[0])
        for party in parties:
            party.http = client
        return current[0]

    return again


async def test_a_completed_keygen_signs_after_a_restart(make_party, restart):
    party = await make_party().completed()
    before = (await party.keygen_status()).json()
    restart(party)
    assert (await party.keygen_status()).json() == before
    assert (await party.sign([party.item(MESSAGE)]))["status"] == "completed"


async def test_a_collecting_keygen_goes_on(make_party, restart):
    party = await make_party(approvals=False).collecting()
    for user in party.users[:2]:
        await party.register(user)
    restart(party)
    for user in party.users[2:]:
        assert (await party.register(user)).status_code == 200
    await party.wait_for_keygen()
    assert (await party.sign([party.item(MESSAGE)]))["status"] == "completed"


async def test_a_keygen_that_had_all_its_slots_completes_at_the_start(make_party, control, restart):
    party = await make_party().collecting()
    await control.post("/control/faults", json={"kind": "silent", "operation": "keygen"})
    for user in party.users:
        await party.register(user)
    restart(party)
    await party.wait_for_keygen()
    assert (await party.keygen_status()).json()["status"] == "completed"


async def test_a_session_that_waited_for_approvals_goes_on(make_party, restart):
    party = await make_party().completed()
    body = party.signing_body([party.item(MESSAGE)])
    await party.start_signing(body)
    await party.approve(party.players[0], body)
    restart(party)
    status = await party.signing_status(body["signing_session_id"])
    assert status["approved_participants"] == [party.players[0]]
    for user in party.players[1:]:
        await party.approve(user, body)
    assert (await party.wait_for_signing(body["signing_session_id"]))["status"] == "completed"


async def test_a_session_in_flight_fails_and_a_new_one_signs(make_party, control, restart):
    party = await make_party(approvals=False).completed()
    await control.post("/control/faults", json={"kind": "silent", "times": 1})
    items = [party.item(MESSAGE)]
    body = party.signing_body(items)
    await party.start_signing(body)
    restart(party)
    status = await party.signing_status(body["signing_session_id"])
    assert status["status"] == "failed"
    assert status["batch_results"][0]["error"] == "the enclaves restarted"
    assert (await party.sign(items))["status"] == "completed"


async def test_keys_and_epochs_stay_and_a_lost_key_starts_a_new_epoch(make_party, restart, tmp_path):
    party = await make_party().collecting()
    before = party.enclaves[0]
    restart(party)
    await party.fetch_enclaves()
    assert party.enclaves[0]["public_key"] == before["public_key"]
    assert party.enclaves[0]["key_epoch"] == 1
    (tmp_path / "keymeld" / "enclaves" / "enclave-0.json").unlink()
    restart(party)
    await party.fetch_enclaves()
    assert party.enclaves[0]["key_epoch"] == 2
    assert party.enclaves[0]["public_key"] != before["public_key"]


async def test_used_headers_stay_used(make_party, restart, refused):
    party = await make_party().collecting()
    header = party.session_header()
    path = f"/keygen/{party.keygen_id}/status"
    assert (await party.get(path, header)).status_code == 200
    restart(party)
    refused(await party.get(path, header), 401, "already used")
    assert (await party.get(path, party.session_header())).status_code == 200


async def test_families_are_dropped_after_two_days(make_party, clock, refused):
    party = await make_party().completed()
    clock.now += 48 * 3600 + 1
    await make_party().reserve()
    refused(await party.keygen_status(), 404)


async def test_no_secret_reaches_the_database(make_party, gateway, tmp_path):
    party = await make_party().completed()
    await party.sign([party.item(MESSAGE)])
    gateway.services.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (tmp_path / "keymeld" / "gateway.sqlite").read_bytes()
    assert party.keygen_id.encode() in stored
    for secret in [party.session_secret, MESSAGE, *(key.reveal() for key in party.keys.values())]:
        assert secret not in stored
        assert secret.hex().encode() not in stored


def test_key_files_are_private_and_belong_to_one_enclave(tmp_path):
    path = tmp_path / "enclave-0.json"
    identity = EnclaveIdentity(path, 0, now=1)
    assert path.stat().st_mode & 0o777 == 0o600
    identity.rotate(now=2)
    assert EnclaveIdentity(path, 0, now=3).epoch == 2
    with pytest.raises(Misuse, match="belongs to enclave 0"):
        EnclaveIdentity(path, 1, now=3)
