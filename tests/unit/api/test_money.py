"""The house's money over HTTP: what everyone sees while nothing new is taken on, and what operators may do about it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from coordinator.domain.competitions.states import CollectingEntries
from coordinator.engine.components import Dependency
from coordinator.engine.money.audit import Imbalance, Known
from coordinator.engine.money.buckets import Bucket
from coordinator.engine.money.examination import MoneyExamination
from coordinator.engine.reconciliation.payments import Unexplained
from coordinator.ports.lightning import OutgoingPayment, PaymentState
from coordinator_core.units import Millisats

OPEN = CollectingEntries(terms_hash="00")
SETTLE, TAKE = "/api/v1/operator/settle-only", "/api/v1/operator/take-on"


def because(reason: str, **more: str) -> bytes:
    return json.dumps({"reason": reason, **more}).encode()


async def condition(house: Any) -> Any:
    return await MoneyExamination(house.engine.money, house.engine.freezer).condition()


async def test_settle_only_is_said_everywhere_and_nothing_new_is_begun(edge: Any) -> None:
    lane = await edge.competition(OPEN)
    assert (await edge.operated("POST", SETTLE, because("we move house"))).json() == {"settle_only": True}
    refused = await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")
    assert (refused.status_code, refused.json()["code"]) == (503, "competition.paused")
    assert "we move house" in refused.json()["detail"]
    created = await edge.operated("POST", "/api/v1/operator/competitions", b"{}")
    assert (created.status_code, created.json()["code"]) == (503, "competition.paused")
    status = (await edge.browser.get("/api/v1/status")).json()
    assert (status["settle_only"]["reason"], status["settle_only"]["by"]) == ("we move house", "operator")
    assert "finishes what it owes and takes on nothing new: we move house" in (await edge.browser.get("/status")).text
    assert "takes on nothing new: we move house" in await edge.page(lane)
    assert "coordinator_settle_only 1" in (await edge.operated("GET", "/metrics")).text
    assert "settle-only: we move house" in (await condition(edge)).note
    assert (await edge.operated("POST", TAKE, because("we stay"))).json() == {"settle_only": False}
    assert (await edge.browser.get("/api/v1/status")).json()["settle_only"] is None
    assert (await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")).status_code == 201


async def test_before_everything_was_compared_no_ticket_is_sold_and_readyz_says_why(edge: Any) -> None:
    lane = await edge.competition(OPEN)
    made = edge.engine.money.reconciliation
    made.finished_at = None
    refused = await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")
    assert (refused.status_code, "being compared (0 of 4)" in refused.json()["detail"]) == (503, True)
    found = await condition(edge)
    assert (found.is_ready, found.answers) == (True, True)
    assert "database, chain and Lightning are being compared" in found.note
    assert (await edge.browser.get("/api/v1/status")).json()["reconciled"] is False
    assert "the coordinator is not ready" in (await edge.browser.get("/status")).text
    assert "coordinator_money_reconciled 0" in (await edge.operated("GET", "/metrics")).text
    made.finished_at = edge.now
    assert "being compared" not in (await condition(edge)).note


async def test_what_operators_read_of_the_money(edge: Any) -> None:
    money = edge.engine.money
    payment = OutgoingPayment("77" * 32, PaymentState.SUCCEEDED, Millisats(5_000), edge.now)
    money.reconciliation.unexplained = Unexplained((payment,), holding={"77" * 32: ("lane", "entry")})
    money.audit.buckets = {Bucket.HELD: Known(3, edge.now)}
    money.audit.faults = (Imbalance(None, "we owe more"),)
    shown = (await edge.operated("GET", "/api/v1/operator/money")).json()
    assert shown["amounts"] == {"held": {"sats": 3, "at": edge.now}}
    assert (shown["gap"], shown["faults"]) == (None, [{"competition": None, "what": "we owe more"}])
    [line] = shown["payments"]
    assert (line["payment_hash"], line["explained"], line["holds"]) == ("77" * 32, False, "lane/entry")
    kinds = {item["kind"] for item in (await edge.operated("GET", "/api/v1/operator/attention")).json()}
    assert kinds == {"unexplained", "books"}
    body = because("the hosting bill", payment_hash="77" * 32)
    explained = await edge.operated("POST", "/api/v1/operator/payments/explain", body)
    assert explained.json() == {"explained": "77" * 32}
    [line] = (await edge.operated("GET", "/api/v1/operator/money")).json()["payments"]
    assert (line["explained"], line["holds"]) == (True, None)
    again = await edge.operated("POST", "/api/v1/operator/payments/explain", because("x", payment_hash="78" * 32))
    assert again.status_code == 409


async def test_a_key_is_accepted_only_where_one_changed(edge: Any) -> None:
    path, key = "/api/v1/operator/keys/accept", "02" + "aa" * 32
    assert (await edge.operated("POST", path, because("x", whose="oracle", key=key))).status_code == 409
    edge.engine.money.handshake.changed = {"oracle": key}
    accepted = await edge.operated("POST", path, because("theirs", whose="oracle", key=key))
    assert accepted.json() == {"accepted": key}
    [line] = (await edge.operated("GET", "/api/v1/operator/audit")).json()
    assert (line["act"], line["subject"]) == ("accept-key", f"oracle={key}")


async def test_a_key_that_changed_again_since_it_was_read_is_not_accepted(edge: Any) -> None:
    path, seen, now = "/api/v1/operator/keys/accept", "02" + "aa" * 32, "03" + "bb" * 32
    edge.engine.money.handshake.changed = {"oracle": now}
    refused = await edge.operated("POST", path, because("theirs", whose="oracle", key=seen))
    assert (refused.status_code, refused.json()["code"]) == (409, "competition.conflict")
    assert seen in refused.json()["detail"]
    assert now in refused.json()["detail"]
    assert (await edge.operated("GET", "/api/v1/operator/audit")).json() == []
    assert edge.engine.money.handshake.changed == {"oracle": now}


@pytest.mark.parametrize("key", ["", "02aa", "02" + "AA" * 32, "04" + "aa" * 32])
async def test_what_is_no_key_is_refused(edge: Any, key: str) -> None:
    edge.engine.money.handshake.changed = {"oracle": key}
    refused = await edge.operated("POST", "/api/v1/operator/keys/accept", because("x", whose="oracle", key=key))
    assert refused.status_code == 400
    assert edge.engine.money.handshake.changed == {"oracle": key}


@pytest.mark.parametrize("dependency", list(Dependency))
def test_a_service_that_nobody_asked_is_not_well(edge: Any, dependency: Dependency) -> None:
    assert edge.engine.dependencies.is_healthy(dependency)
    edge.engine.dependencies._away.clear()
    assert not edge.engine.dependencies.is_healthy(dependency)


async def test_competitions_that_cannot_be_counted_are_not_none(house: Any) -> None:
    house.engine.health.progress = None
    assert "Not known: they could not be counted." in (await house.browser.get("/status")).text
    assert (await house.browser.get("/api/v1/status")).json()["competitions"] is None
    await house.engine.health.sample()
    assert "There is none." in (await house.browser.get("/status")).text
    assert msgspec.json.decode((await house.browser.get("/api/v1/status")).content)["competitions"] == {}
