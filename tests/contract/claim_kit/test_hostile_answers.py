"""A kit with anything changed in it, and Esplora and oracle servers that answer anything."""

import json
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.cli.attestation import fetch_attestation
from coordinator.cli.claim_progress import follow
from coordinator.cli.esplora import Esplora
from coordinator.cli.exchange import ServiceFailed
from coordinator.player.claiming import Claimant
from coordinator.player.http import Service
from coordinator_core.claim_kit import ClaimDestination, ClaimKit, plan_claim
from coordinator_core.errors import CoreError, Fault
from coordinator_core.units import FeeRate
from tests.hostile_json import ANY, changed

HOSTILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EVENT = UUID(int=1)


@contextmanager
def noting():
    """Faults of what ended the block: none when it came to its end."""
    faults = []
    try:
        yield faults
    except CoreError as error:
        faults.append(error.fault)


@given(data=st.data())
@HOSTILE
def test_a_changed_kit_is_refused_in_one_sentence_or_means_the_same(scene, claim_run, tmp_path, data):
    kit, path = json.loads(scene.kit(0).to_json()), tmp_path / "kit.json"
    path.write_text(json.dumps(data.draw(changed(kit))))
    result = claim_run(path, "--expiry")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if result.exit_code:
        [line] = result.stderr.splitlines()
        assert line.startswith("Error: ")
        assert line.endswith(str(path))
    else:
        assert json.loads(ClaimKit.from_json(path.read_bytes()).to_json())["contract"] == kit["contract"]


NO_KIT = ['{"version":1,"terms":"\\ud800"}', '{"terms":' * 50_000, "[]", "", '{"version":1e400}']


@pytest.mark.parametrize("text", NO_KIT, ids=range(len(NO_KIT)))
def test_what_is_no_kit_is_refused(claim_run, tmp_path, text):
    path = tmp_path / "kit.json"
    path.write_text(text)
    result = claim_run(path, "--expiry")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_lone_surrogate_anywhere_in_a_kit_is_refused(scene, claim_run, tmp_path):
    kit = json.loads(scene.kit(0).to_json())
    for change in ({"terms": kit["terms"] | {"title": "\ud800"}}, {"ticket_preimage": "\ud800"}):
        path = tmp_path / "kit.json"
        path.write_text(json.dumps(kit | change))
        result = claim_run(path, "--expiry")
        assert (result.exit_code, "not Unicode" in result.stderr) == (2, True)


@pytest.fixture
def plan(scene):
    kit = scene.kit(1)
    return plan_claim(
        kit,
        scene.attestation(0),
        ticket_preimage=scene.tickets[1],
        entry_key=kit.entry_key(scene.roots[1]),
        destination=ClaimDestination(b"\x51\x20" + bytes(32), FeeRate(250)),
    )


def replying(data):
    """Each address answers with something of the form it should have, or with anything."""
    right = {
        "height": 100,
        "status": {"confirmed": True, "block_height": 90},
        "0": {"spent": True, "txid": "11" * 32},
        "package": {"package_msg": "success", "tx-results": {"x": {"error": "y"}}},
        "hash": "22" * 32,
        "hex": "0200",
    }

    def answer(request):
        value = data.draw(changed(right.get(request.url.path.rsplit("/", 1)[-1], {"mediantime": 1})) | ANY)
        content = value.encode() if isinstance(value, str) and data.draw(st.booleans()) else json.dumps(value)
        status = data.draw(st.sampled_from([200, 200, 200, 404, 500]))
        return httpx.Response(status, content=content, headers={"content-type": "text/plain; charset=hex"})

    return httpx.MockTransport(answer)


@given(data=st.data())
@HOSTILE
def test_an_esplora_server_may_answer_anything(plan, data):
    with Esplora("http://replayed", replying(data)) as chain, noting() as faults:
        list(follow(plan, chain, broadcast=True))
        chain.broadcast_package([plan.steps[0].transaction])
        chain.median_time()
    assert faults in ([], [Fault.NODE])


@given(data=st.data())
@HOSTILE
async def test_a_claimant_takes_no_answer_for_granted(scene, data):
    claimant = Claimant(scene.kit(1), scene.roots[1], scene.tickets[1], scene.attestation(0), "http://replayed")
    await claimant.close()
    claimant._esplora = Service("esplora", "http://replayed", fault=Fault.NODE, transport=replying(data))
    with noting() as faults:
        for _ in range(3):
            await claimant.step()
    assert faults in ([], [Fault.NODE])


@given(data=st.data())
@HOSTILE
def test_an_oracle_may_answer_anything(data):
    right = {"attestation": "11" * 32}

    def answer(_):
        return httpx.Response(200, content=json.dumps(data.draw(changed(right) | ANY)))

    with noting() as faults:
        assert len(fetch_attestation("http://replayed", EVENT, httpx.MockTransport(answer))) == 32
    assert faults in ([], [Fault.ORACLE])


def test_an_answer_without_end_is_not_read_to_its_end():
    def endless():
        while True:
            yield b" " * 100_000

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    with pytest.raises(ServiceFailed, match="too much"):
        fetch_attestation("http://replayed", EVENT, transport)
    with Esplora("http://replayed", transport) as chain, pytest.raises(ServiceFailed, match="too much"):
        chain.tip_height()
