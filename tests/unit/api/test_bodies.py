"""Bodies: strict, refused by field without repeating values, and never longer than they may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator.api.application import MAX_BODY
from coordinator.domain.competitions.states import CollectingEntries
from coordinator.domain.facts import HoldState
from coordinator_core.nostr.nip98 import build_authorization
from tests.support.asgi import Answer, ask

JOIN: dict[str, Any] = {
    "entry_id": "01926f3b-0000-7000-8000-000000000001",
    "attempt": 1,
    "registration": {},
    "ciphertext": "00",
    "salt": "00" * 32,
    "picks": [],
}
APPROVAL: dict[str, Any] = {"user_id": JOIN["entry_id"], "timestamp": 1, "signature": [0] * 64}
PATH = "/api/v1/competitions/{}/{}"


@pytest.fixture
async def lane(edge: Any) -> str:
    return await edge.competition(CollectingEntries(terms_hash="00"), edge.entries(1, HoldState.ACCEPTED))


DAMAGED = {
    "nested": (b'{"registration": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "body", "nested too deeply"),
    "nested elsewhere": (b"[" * 50_000 + b"]" * 50_000, "body", "Expected `object`, got `array`"),
    "not UTF-8": (json.dumps(JOIN).encode().replace(b"{}", b'{"a": "\xff"}'), "body", "not UTF-8"),
    "truncated": (json.dumps(JOIN).encode()[:-1], "body", "not JSON"),
    "two documents": (json.dumps(JOIN).encode() * 2, "body", "not JSON"),
    "nothing": (b"", "body", "not JSON"),
    "NaN": (json.dumps(JOIN | {"attempt": float("nan")}).encode(), "body", "not JSON"),
    "lone surrogate": (json.dumps(JOIN).encode().replace(b"{}", b'"\\ud800"'), "body", "not JSON"),
    "huge number": (json.dumps(JOIN).encode().replace(b": 1", b": " + b"9" * 5_000), "attempt", "out of range"),
    "ninth attempt": (json.dumps(JOIN | {"attempt": 9}).encode(), "attempt", "<= 8"),
    "number as text": (json.dumps(JOIN | {"attempt": "1"}).encode(), "attempt", "Expected `int`"),
    "odd hex": (json.dumps(JOIN | {"ciphertext": "000"}).encode(), "ciphertext", "regex"),
    "spaced hex": (json.dumps(JOIN | {"ciphertext": "00 00"}).encode(), "ciphertext", "regex"),
    "short salt": (json.dumps(JOIN | {"salt": "00"}).encode(), "salt", "regex"),
    "one pick": (json.dumps(JOIN | {"picks": [{"target": "K"}]}).encode(), "picks[0].metric", "missing required"),
    "wrong choice": (
        json.dumps(JOIN | {"picks": [{"target": "K", "metric": "m", "choice": "up"}]}).encode(),
        "picks[0].choice",
        "Invalid enum value",
    ),
    "unknown member": (json.dumps(JOIN | {"more": 1}).encode(), "more", "unknown field"),
    "missing member": (json.dumps({k: v for k, v in JOIN.items() if k != "salt"}).encode(), "salt", "missing required"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGED))
async def test_bodies_are_refused_by_field(edge: Any, lane: str, damage: str) -> None:
    body, field, reason = DAMAGED[damage]
    answer = await edge.signed("POST", PATH.format(lane, "keymeld/join"), body)
    problem = answer.json()
    assert (answer.status_code, problem["field"], problem["fault"]) == (400, field, "player")
    assert reason in problem["detail"]
    assert problem["fix"]


@pytest.mark.parametrize(
    ("part", "body", "field"),
    [
        ("key", {"entry_key": "5ec7" * 17}, "entry_key"),
        ("key", {"entry_key": "00" * 32}, "entry_key"),
        ("key", {"entry_key": ["5ec7" * 16]}, "entry_key"),
        ("payout", {"payment_request": "lnbc1", "payout_preimage": "5EC7" * 16}, "payout_preimage"),
        ("payout", {"payment_request": 1, "payout_preimage": "5ec7" * 16}, "payment_request"),
        ("payout", {"payment_request": "1" * 8_000, "payout_preimage": "5ec7" * 16}, "payment_request"),
    ],
)
async def test_refusals_never_repeat_a_secret(edge: Any, lane: str, part: str, body: Any, field: str) -> None:
    path = PATH.format(lane, f"entries/{edge.ids[0]}/{part}")
    answer = await edge.signed("POST", path, json.dumps(body).encode())
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert "5ec7" not in answer.text.lower()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"x_user_signature": "v1:1:ab:\r\nX: y"}, "approvals[0].x_user_signature"),
        ({"x_user_signature": "v1:1:ab:" + "cd" * 65}, "approvals[0].x_user_signature"),
        ({"signing_session_id": "s" * 65}, "approvals[0].signing_session_id"),
        ({"approval": APPROVAL | {"timestamp": 2**53}}, "approvals[0].approval.timestamp"),
        ({"approval": APPROVAL | {"signature": [0] * 63}}, "approvals[0].approval.signature"),
        ({"approval": APPROVAL | {"signature": [256] + [0] * 63}}, "approvals[0].approval.signature[0]"),
    ],
)
async def test_approvals_are_bounded_before_they_are_stored(edge: Any, lane: str, changes: Any, field: str) -> None:
    one = {"signing_session_id": "s", "approval": APPROVAL, "x_user_signature": f"v1:1:ab:{'cd' * 64}", **changes}
    body = {"entry_id": JOIN["entry_id"], "attempt": 1, "approvals": [one]}
    answer = await edge.signed("POST", PATH.format(lane, "keymeld/approvals"), json.dumps(body).encode())
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def _pieces(size: int, pieces: int) -> Iterator[bytes]:
    yield from (b" " * size for _ in range(pieces))


async def _post(edge: Any, lane: str, pieces: list[bytes], *headers: tuple[bytes, bytes]) -> Answer:
    target = PATH.format(lane, "entries")
    proof = build_authorization("POST", f"http://test{target}", b"".join(pieces), edge.keys[0], edge.now)
    return await ask(edge.application, "POST", target, [(b"authorization", proof.encode()), *headers], pieces)


async def test_a_body_of_the_full_length_is_read(edge: Any, lane: str) -> None:
    answer = await _post(edge, lane, list(_pieces(MAX_BODY // 10, 10)))
    assert answer.status == 201
    assert answer.pieces_read == 10


async def test_a_longer_body_is_not_read_to_its_end(edge: Any, lane: str) -> None:
    before = await edge.rows()
    answer = await _post(edge, lane, list(_pieces(MAX_BODY // 10, 100)))
    assert answer.status == 413
    assert answer.pieces_read == 11
    assert answer.json()["field"] == "body"
    assert answer.json()["fix"]
    assert await edge.rows() == before


@pytest.mark.parametrize("announced", [b"1000001", b"99999999999999999999"])
async def test_a_body_that_is_announced_too_long_is_not_read(edge: Any, lane: str, announced: bytes) -> None:
    answer = await _post(edge, lane, [b"{}"], (b"content-length", announced))
    assert (answer.status, answer.pieces_read) == (413, 0)


async def test_a_lie_about_the_length_changes_nothing(edge: Any, lane: str) -> None:
    answer = await _post(edge, lane, list(_pieces(MAX_BODY // 10, 20)), (b"content-length", b"2"))
    assert answer.status == 413


@pytest.mark.parametrize("announced", [b"x", b"-1", b""])
async def test_a_length_that_is_no_number_is_refused_or_ignored(edge: Any, lane: str, announced: bytes) -> None:
    answer = await _post(edge, lane, [b"{}"], (b"content-length", announced))
    assert answer.status in (201, 400)
