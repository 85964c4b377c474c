"""Signature headers: shape, window, one use (keymeld section 2.2), and the earlier protocol's refusal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from coordinator.embedded.keymeld.errors import PlainTextError
from coordinator.embedded.keymeld.gateway.authentication import parse_header

VECTORS = Path(__file__).parents[2] / "vectors" / "keymeld"
FLOW = [
    call
    for call in json.loads((VECTORS / "flow_3p1w.json").read_text())["calls"]
    if not call["path"].startswith("/api/v1/enclaves")
]
"""Every call of the transcript but the reads of enclave keys, which did not change."""
EARLIER = json.loads((VECTORS / "vectors.json").read_text())
GOOD = "v1:1700000000:" + "0a" * 16 + ":" + "0b" * 64


def test_the_good_shape():
    assert parse_header("x", GOOD).timestamp == 1700000000


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        GOOD.replace("v1", "v2"),
        GOOD.replace("v1:1700000000", "v1:01700000000"),
        GOOD.replace("v1:1700000000", "v1:+1700000000"),
        GOOD.replace("v1:1700000000", "v1:-1"),
        GOOD.replace("v1:1700000000", "v1:99999999999999999999999"),
        GOOD.replace("0a", "0A"),
        GOOD.replace("0b", "0B"),
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-2],
        GOOD.replace("0a" * 16, "0a" * 15),
        EARLIER["X-Session-Signature(nonce=000102..0f)"],
        EARLIER["X-User-Signature(nonce=000102..0f)"],
    ],
)
def test_other_shapes_are_plain_400(value):
    with pytest.raises(PlainTextError) as caught:
        parse_header("x-session-signature", value)
    assert caught.value.http_status == 400


@pytest.mark.parametrize("path", ["status", "slots"])
async def test_a_missing_header_is_plain_text(make_party, path):
    party = await make_party().collecting()
    answer = await party.get(f"/keygen/{party.keygen_id}/{path}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert "x-session-signature" in answer.text


@pytest.mark.parametrize(("offset", "status"), [(-301, 401), (-300, 200), (0, 200), (30, 200), (31, 401)])
async def test_the_time_window(make_party, clock, offset, status):
    party = await make_party().collecting()
    header = party.session_header(timestamp=clock.now + offset)
    answer = await party.get(f"/keygen/{party.keygen_id}/status", header)
    assert answer.status_code == status, answer.text


async def test_a_header_serves_once_on_any_call(make_party, refused):
    party = await make_party().collecting()
    header = party.session_header()
    path = f"/keygen/{party.keygen_id}"
    assert (await party.get(f"{path}/status", header)).status_code == 200
    refused(await party.get(f"{path}/status", header), 401, "Authentication proof already used")
    refused(await party.get(f"{path}/slots", header), 401, "Authentication proof already used")
    body = party.register_body(party.users[0])
    refused(await party.post(f"{path}/participants", body, header), 401, "already used")


async def test_of_many_uses_at_once_one_wins(make_party):
    party = await make_party().collecting()
    header, path = party.session_header(), f"/keygen/{party.keygen_id}/status"
    answers = await asyncio.gather(*(party.get(path, header) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 11


async def test_a_bad_signature_does_not_use_up_the_nonce(make_party, refused):
    party = await make_party().collecting()
    header = party.session_header()["X-Session-Signature"]
    forged = header[:-1] + ("0" if header[-1] != "0" else "1")
    path = f"/keygen/{party.keygen_id}/status"
    refused(await party.get(path, {"X-Session-Signature": forged}), 401, "Invalid signature")
    assert (await party.get(path, {"X-Session-Signature": header})).status_code == 200


async def test_headers_of_other_sessions_users_and_kinds(make_party, refused):
    party, other = await make_party().completed(), await make_party().completed()
    path = f"/keygen/{party.keygen_id}/status"
    refused(await party.get(path, other.session_header()), 401)
    body = party.signing_body([party.item(b"\x01" * 32)])
    await party.start_signing(body)
    signing_id, (user, neighbour) = body["signing_session_id"], party.players[:2]
    path = f"/signing/{signing_id}/status/{user}"
    refused(await party.get(path, party.user_header(neighbour, signing_id)), 401)
    refused(await party.get(path, party.user_header(user, party.keygen_id)), 401)
    as_user = {"X-User-Signature": party.session_header()["X-Session-Signature"]}
    refused(await party.get(path, as_user), 401)


@pytest.mark.parametrize("index", range(len(FLOW)))
async def test_the_earlier_protocol_is_refused(http, index):
    call = FLOW[index]
    answer = await http.request(
        call["method"], call["path"], headers=call["headers"], json=call["request"] if call["request"] else None
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_the_earlier_header_is_refused_on_a_live_session(make_party):
    party = await make_party().collecting()
    earlier = "00" * 16 + ":" + party.session_header()["X-Session-Signature"].rpartition(":")[2]
    answer = await party.get(f"/keygen/{party.keygen_id}/status", {"X-Session-Signature": earlier})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
