"""The operator's routes: who may, under which name, and what a ticket costs while new money is frozen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator.domain.competitions.states import CollectingEntries, EventCreated, Returning
from coordinator.domain.facts import HoldState
from coordinator.engine import codec

ACTS = [
    "/api/v1/operator/competitions/{lane}/retry",
    "/api/v1/operator/competitions/{lane}/resume",
    "/api/v1/operator/competitions/{lane}/reconcile",
    "/api/v1/operator/competitions/{lane}/cancel",
    "/api/v1/operator/duties/reopen",
    "/api/v1/operator/freeze",
    "/api/v1/operator/unfreeze",
    "/api/v1/operator/settle-only",
    "/api/v1/operator/take-on",
    "/api/v1/operator/payments/explain",
    "/api/v1/operator/keys/accept",
]
READS = ["/api/v1/operator/attention", "/api/v1/operator/audit", "/api/v1/operator/money"]
OPEN = CollectingEntries(terms_hash="00")


def because(reason: str, **more: str) -> bytes:
    return json.dumps({"reason": reason, **more}).encode()


@pytest.fixture
def owners(edge: Any, web: Any) -> Any:
    """The first two players own this coordinator too."""
    keys = frozenset(key.x_only for key in edge.keys[:2])
    object.__setattr__(web.api, "owners", keys)
    return keys


@pytest.mark.parametrize("path", [*ACTS, *READS])
async def test_nobody_else_may(edge: Any, owners: Any, path: str) -> None:
    lane = await edge.competition(OPEN)
    rows = await edge.rows()
    method, where = ("GET" if path in READS else "POST"), path.format(lane=lane)
    stranger = await edge.signed(method, where, b"" if method == "GET" else because("mine"), player=2)
    bare = await edge.browser.request(method, where, content=because("mine"))
    wrong = await edge.browser.request(method, where, headers={"authorization": "Bearer guess"})
    assert {answer.status_code for answer in (stranger, bare, wrong)} == {401}
    assert await edge.rows() == rows


async def test_a_proof_of_an_owner_is_for_one_request(edge: Any, owners: Any) -> None:
    path = "/api/v1/operator/freeze"
    first = await edge.signed("POST", path, because("the books"))
    proof = first.request.headers["authorization"]
    again = await edge.browser.post(path, content=because("the books"), headers={"authorization": proof})
    other = await edge.browser.post(path, content=because("other words"), headers={"authorization": proof})
    assert (first.status_code, again.status_code, other.status_code) == (200, 400, 401)


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("body", [b"{}", b'{"reason":""}', b'{"reason":"  "}', b"no json", b'{"reason":1}'])
async def test_nobody_acts_without_a_reason(edge: Any, path: str, body: bytes) -> None:
    lane = await edge.competition(OPEN)
    rows = await edge.rows()
    answer = await edge.operated("POST", path.format(lane=lane), body)
    assert answer.status_code == 400
    assert answer.json()["fix"]
    assert await edge.rows() == rows


async def test_the_same_request_again_has_one_effect(edge: Any) -> None:
    headers = {"authorization": "Bearer operator", "idempotency-key": "one"}
    for _ in range(3):
        answer = await edge.browser.post("/api/v1/operator/freeze", content=because("look"), headers=headers)
        assert answer.json() == {"frozen": True}
    other = await edge.browser.post("/api/v1/operator/unfreeze", content=because("fine"), headers=headers)
    assert other.json() == {"frozen": False}
    log = (await edge.operated("GET", "/api/v1/operator/audit")).json()
    assert [(line["who"], line["act"], line["reason"]) for line in log] == [
        ("operator", "unfreeze", "fine"),
        ("operator", "freeze", "look"),
    ]
    older = (await edge.operated("GET", f"/api/v1/operator/audit?before={log[0]['seq']}")).json()
    assert older == log[1:]


async def test_while_new_money_is_frozen_no_ticket_is_sold_and_everyone_reads_why(edge: Any) -> None:
    lane = await edge.competition(OPEN)
    await edge.operated("POST", "/api/v1/operator/freeze", because("an audit of the books"))
    refused = await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")
    assert refused.status_code == 503
    assert refused.json()["code"] == "competition.paused"
    assert "an audit of the books" in refused.json()["detail"]
    paused = (await edge.browser.get(f"/api/v1/competitions/{lane}")).json()["paused"]
    assert [(pause["dependency"], pause["reason"]) for pause in paused] == [("operator", "an audit of the books")]
    [item] = (await edge.operated("GET", "/api/v1/operator/attention")).json()
    assert (item["kind"], item["competition"], item["fix"]) == ("frozen", None, "coordinator admin unfreeze")
    await edge.operated("POST", "/api/v1/operator/unfreeze", because("they balance"))
    assert (await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")).status_code == 201
    assert (await edge.operated("GET", "/api/v1/operator/attention")).json() == []


async def test_two_owners_end_a_closing_each_under_its_own_name(edge: Any, owners: Any) -> None:
    lane = await edge.competition(EventCreated(roster=edge.ids[:3], attempt=1), edge.entries(3, HoldState.ACCEPTED))
    path = f"/api/v1/operator/competitions/{lane}/cancel"
    token = await edge.operated("POST", path, because("storm"))
    assert (token.status_code, token.json()["fix"]) == (409, "two owners have to ask for it, each with their own key")
    one = await edge.signed("POST", path, because("storm"), player=0)
    assert one.json() == {"cancelled": False, "awaits_second_owner": True}
    two = await edge.signed("POST", path, because("hail"), player=1)
    assert two.json() == {"cancelled": True, "awaits_second_owner": False}
    record = await edge.store.lane(lane)
    assert codec.decode_state(record.state) == Returning(reason="storm; hail", ends_in="cancelled")
    log = (await edge.operated("GET", "/api/v1/operator/audit")).json()
    assert [line["who"] for line in log] == [edge.players[1], edge.players[0]]


async def test_an_unreadable_competition_is_left_out_of_lists_and_hides_no_other(edge: Any) -> None:
    bad, good = await edge.competition(OPEN), await edge.competition(OPEN)
    async with edge.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE state_row SET v = 9 WHERE lane = ?", (bad,))
    listed = (await edge.browser.get("/api/v1/competitions")).json()
    assert [item["id"] for item in listed] == [good]
    assert (await edge.browser.get("/")).status_code == 200
    assert (await edge.browser.get(f"/api/v1/competitions/{bad}")).status_code == 500
