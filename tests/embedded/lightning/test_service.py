"""The served network: control calls, streams and clients that leave, hostile requests, restarts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

PREIMAGE = b"s" * 32
HASH = hashlib.sha256(PREIMAGE).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def u64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


async def tell(rig: Any, path: str, body: Any) -> httpx.Response:
    return await rig.control.post(f"/control/{path}", json=body)


async def test_a_wallet_on_demand_can_pay_and_be_paid(rig: Any) -> None:
    made = (await tell(rig, "nodes", {"alias": "carol", "capacity_sat": 1_000_000})).json()
    headers = {"Grpc-Metadata-macaroon": made["macaroon_hex"]}
    async with httpx.AsyncClient(base_url=made["url"], headers=headers, trust_env=False) as carol:
        info = (await carol.get("/v1/getinfo")).json()
        assert (info["identity_pubkey"], info["alias"]) == (made["public_key"], "carol")
        invoice = (await carol.post("/v1/invoices", json={"value": "700", "r_preimage": b64(PREIMAGE)})).json()
        payment = await rig.pay("coordinator", invoice["payment_request"], no_inflight_updates=True)
        result = (await payment.end())[-1]["result"]
        assert (result["status"], result["payment_preimage"]) == ("SUCCEEDED", PREIMAGE.hex())
    again = (await tell(rig, "nodes", {"alias": "carol"})).json()
    assert (again["url"], again["public_key"]) == (made["url"], made["public_key"])


def read_secret(path: str) -> str:
    file = Path(path)
    assert file.stat().st_mode & 0o077 == 0
    return file.read_bytes().hex()


async def test_macaroon_of_the_ready_line_does_the_coordinators_work_and_no_other(rig: Any) -> None:
    headers = {"Grpc-Metadata-macaroon": read_secret(rig.ready["macaroon_file"])}
    async with httpx.AsyncClient(base_url=rig.ready["url"], headers=headers, trust_env=False) as client:
        for path in ("/v1/getinfo", "/v1/channels", "/v1/payments"):
            assert (await client.get(path)).status_code == 200
        for path in ("/v1/balance/channels", "/v1/balance/blockchain"):
            assert "permission denied" in (await client.get(path)).text
        assert (await client.post("/v2/invoices/hodl", json={"hash": b64(HASH), "value": 1})).status_code == 200
        assert (await client.post("/v1/macaroon", json={"permissions": []})).status_code == 500


async def test_the_ledger_conserves(rig: Any) -> None:
    total = (await rig.control.get("/control/ledger")).json()["total_sat"]
    await rig.pay("alice", await rig.hold(HASH))
    await rig.until_state(HASH, "ACCEPTED")
    ledger = (await rig.control.get("/control/ledger")).json()
    assert ledger["held_msat"] == 50_001_050 + 50_000_000
    assert ledger["total_sat"] == total
    await rig.call("coordinator", "POST", "/v2/invoices/settle", {"preimage": b64(PREIMAGE)})
    ledger = (await rig.control.get("/control/ledger")).json()
    assert (ledger["held_msat"], ledger["total_sat"]) == (0, total)


async def test_a_payment_outlives_its_request(rig: Any) -> None:
    payment = await rig.pay("alice", await rig.hold(HASH))
    await payment.at_least(2)
    payment.task.cancel()
    await rig.call("coordinator", "POST", "/v2/invoices/settle", {"preimage": b64(PREIMAGE)})
    track = await rig.stream("alice", "GET", f"/v2/router/track/{u64(HASH)}")
    assert (await track.end())[-1]["result"]["status"] == "SUCCEEDED"


async def test_faults_through_the_control_server(rig: Any) -> None:
    invoice = (await rig.call("alice", "POST", "/v1/invoices", {"value": "10"}))["payment_request"]
    await tell(rig, "faults", {"node": "router", "mode": "hold"})
    payment = await rig.pay("coordinator", invoice)
    assert (await payment.at_least(2))[-1]["result"]["status"] == "IN_FLIGHT"
    await tell(rig, "faults", {"node": "router", "mode": "fail"})
    assert (await payment.end())[-1]["result"]["failure_reason"] == "FAILURE_REASON_NO_ROUTE"
    await tell(rig, "faults", {"node": "router", "mode": "ok"})
    payment = await rig.pay("coordinator", invoice)
    assert (await payment.end())[-1]["result"]["status"] == "SUCCEEDED"


async def test_payments_are_listed_for_reconciliation(rig: Any) -> None:
    paid = await rig.call("alice", "POST", "/v1/invoices", {"value": "10"})
    await (await rig.pay("coordinator", paid["payment_request"])).end()
    await tell(rig, "faults", {"node": "router", "mode": "fail"})
    failed = await rig.call("alice", "POST", "/v1/invoices", {"value": "20"})
    await (await rig.pay("coordinator", failed["payment_request"])).end()
    everything = await rig.call("coordinator", "GET", "/v1/payments?include_incomplete=true")
    assert [item["status"] for item in everything["payments"]] == ["SUCCEEDED", "FAILED"]
    assert (everything["first_index_offset"], everything["last_index_offset"]) == ("1", "2")
    successes = await rig.call("coordinator", "GET", "/v1/payments")
    assert [item["value_sat"] for item in successes["payments"]] == ["10"]
    page = await rig.call("coordinator", "GET", "/v1/payments?include_incomplete=true&index_offset=1")
    assert [item["value_sat"] for item in page["payments"]] == ["20"]
    last = await rig.call("coordinator", "GET", "/v1/payments?include_incomplete=true&reversed=true&max_payments=1")
    assert [item["value_sat"] for item in last["payments"]] == ["20"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 400, 3),
        (b"null", 400, 3),
        (b'{"value": "1e3"}', 400, 3),
        (b'{"value": 9223372036854775808}', 400, 3),
        (b'{"value": true}', 400, 3),
        (b'{"memo": 7}', 400, 3),
        (b'{"memo": "\\ud800"}', 400, 3),
        (b'{"hash": "**"}', 400, 3),
        (b'{"value": 1, "value": 2}', 400, 3),
        (b'{"value": NaN}', 400, 3),
        (b"[" * 100_000, 400, 3),
        (b"\xff\xfe", 400, 3),
        (b'{"fallback_addr": "bcrt1"}', 501, 12),
        (b" " * (1 << 20) + b"{}", 400, 3),
        (b"", 500, 2),
    ],
)
async def test_hostile_bodies_get_typed_refusals(api: httpx.AsyncClient, body: bytes, status: int, code: int) -> None:
    answer = await api.post("/v2/invoices/hodl", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/router/route", {}),
        ("POST", "/v2/router/route", {"amt_msat": "1", "hop_pubkeys": [b64(b"\2" * 33)]}),
        ("POST", "/v2/router/route/send", {}),
        ("POST", "/v2/router/route/send", {"payment_hash": b64(HASH)}),
        ("POST", "/v2/router/route/send", {"payment_hash": b64(HASH), "route": {"hops": [{}]}}),
        ("POST", "/v2/router/send", {}),
        ("POST", "/v2/router/send", {"payment_request": "lnbcrt1", "amt": "-1"}),
        ("POST", "/v2/router/send", {"payment_request": "x", "fee_limit_sat": 1, "fee_limit_msat": 1}),
        ("GET", "/v1/invoice/zz", None),
        ("GET", "/v1/invoice/00", None),
        ("GET", "/v1/payments?index_offset=-1", None),
        ("POST", "/v1/invoices", {"value": str(1 << 62)}),
        ("POST", "/v1/invoices", {"r_preimage": b64(b"short")}),
        ("POST", "/v2/invoices/hodl", {"hash": b64(HASH), "expiry": "-1"}),
        ("POST", "/v2/invoices/hodl", {"hash": b64(HASH), "cltv_expiry": "100000"}),
        ("POST", "/v2/invoices/hodl", {"hash": b64(HASH), "description_hash": b64(b"x")}),
    ],
)
async def test_bad_calls_are_refused_as_json(api: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    answer = await api.request(method, path, json=body)
    assert answer.status_code in (400, 500)
    refusal = answer.json()
    assert refusal.get("error", refusal)["message"]


async def test_a_self_made_route_that_cannot_be_paid_changes_nothing(rig: Any) -> None:
    key = rig.network.node("router").public_key
    channel = rig.network.state.channels_of("alice")[0].chan_id
    before = (await rig.control.get("/control/ledger")).json()
    hop = {"chan_id": str(channel), "pub_key": key.hex(), "amt_to_forward_msat": "4000000000", "expiry": 300}
    body = {"payment_hash": b64(HASH), "route": {"total_time_lock": 300, "hops": [hop]}}
    answer = await rig.call("alice", "POST", "/v2/router/route/send", body)
    assert answer["failure"]["code"] == "TEMPORARY_CHANNEL_FAILURE"
    assert (await rig.control.get("/control/ledger")).json() == before


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("nodes", {}, "alias"),
        ("nodes", {"alias": "a b"}, "alias"),
        ("nodes", [], "body"),
        ("nodes", {"alias": "x", "capacity_sat": "1"}, "capacity_sat"),
        ("channels", {"opener": "alice", "peer": "nobody"}, "node"),
        ("faults", {"node": "alice", "mode": "bad"}, "mode"),
        ("faults", {"node": "nobody", "mode": "ok"}, "node"),
        ("state", {"node": "alice", "state": "DEAD"}, "state"),
        ("height", {"height": -1}, "height"),
        ("clock", {"advance_seconds": -1}, "advance_seconds"),
    ],
)
async def test_bad_control_calls_name_the_field(control: httpx.AsyncClient, path: str, body: Any, field: str) -> None:
    answer = await control.post(f"/control/{path}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_control_refuses_foreign_host_names(control: httpx.AsyncClient) -> None:
    answer = await control.get("/control/ledger", headers={"host": "evil.example:80"})
    assert answer.status_code == 400
    assert (await control.get("/control/nothing")).status_code == 404


async def test_a_restart_resumes_at_the_same_addresses(serve: Callable[..., Any], tmp_path: Path) -> None:
    async with serve(tmp_path) as rig:
        address = (await tell(rig, "nodes", {"alias": "alice"})).json()["url"]
        await rig.pay("alice", await rig.hold(HASH))
        await rig.until_state(HASH, "ACCEPTED")
        url = rig.ready["url"]
    async with serve(tmp_path) as rig:
        assert rig.ready["url"] == url
        assert (await tell(rig, "nodes", {"alias": "alice"})).json()["url"] == address
        assert (await rig.lookup(HASH))["state"] == "ACCEPTED"
        track = await rig.stream("alice", "GET", f"/v2/router/track/{u64(HASH)}")
        await track.at_least(1)
        await rig.call("coordinator", "POST", "/v2/invoices/settle", {"preimage": b64(PREIMAGE)})
        assert (await track.end())[-1]["result"]["status"] == "SUCCEEDED"


async def test_a_stop_cuts_streams(serve: Callable[..., Any], tmp_path: Path) -> None:
    async with serve(tmp_path) as rig:
        await rig.hold(HASH)
        stream = await rig.stream("coordinator", "GET", f"/v2/invoices/subscribe/{u64(HASH)}")
        await stream.at_least(1)
    with pytest.raises(httpx.TransportError):
        await stream.task


async def test_answers_are_json_with_every_field(rig: Any) -> None:
    await rig.hold(HASH, memo="ü")
    answer = await (await rig.client("coordinator")).get(f"/v2/invoices/lookup?payment_hash={u64(HASH)}")
    assert json.loads(answer.text)["memo"] == "ü"
    assert answer.headers["content-type"] == "application/json"
