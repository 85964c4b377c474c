"""Health, metrics, status and the request's id over HTTP: who may see what, and what is written down."""

from __future__ import annotations

import re

import msgspec
import pytest
from structlog.testing import capture_logs

from coordinator.api.application import templates
from coordinator.domain.competitions.states import CollectingEntries
from coordinator.engine.components import Child, Dependency
from coordinator.engine.health import LOOPS
from coordinator.engine.new_money import Frozen
from coordinator_core.units import UnixTime
from tests.support.chain import lag

WELL_FORMED = re.compile("[0-9a-f]{32}")


@pytest.fixture
async def alive(house):
    """Every loop has turned just now, and health was sampled."""
    for child in LOOPS.values():
        house.engine.vitals.beat(child)
    lag(house.engine.dependencies.lookout, 0)
    house.engine.vitals.meters.serve(templates(house.application))
    await house.engine.health.sample()
    return house


async def test_live(house) -> None:
    answer = await house.browser.get("/livez")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_an_engine_without_a_heartbeat_is_no_healthy_one(house) -> None:
    answer = await house.browser.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["work"]["oldest_due_duty_seconds"] is None


async def test_health_in_numbers(alive) -> None:
    answer = await alive.browser.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["work"] == {
        "oldest_due_duty_seconds": 0.0,
        "oldest_inbox_row_seconds": 0.0,
        "chain_lag_blocks": 0,
        "stuck_competitions": 0,
        "stopped_competitions": 0,
        "dead_duties": 0,
    }
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-forwarded-for": "127.0.0.1"}])
async def test_metrics_are_the_operators(alive, headers) -> None:
    answer = await alive.browser.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert "coordinator_" not in answer.text


async def test_metrics(alive) -> None:
    lane = await alive.competition(CollectingEntries(terms_hash="00"))
    await alive.browser.get(f"/competitions/{lane}")
    await alive.browser.get("/no/such/page")
    alive.engine.vitals.beat(Child.HEALTH)
    answer = await alive.operated("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    route = 'method="GET",route="/competitions/{competition}",status="2xx"'
    assert f"coordinator_http_requests_total{{{route}}} 1" in answer.text
    assert 'coordinator_http_requests_total{method="GET",route="other",status="4xx"} 1' in answer.text
    assert lane not in answer.text


async def test_a_well_formed_id_comes_back_and_any_other_is_replaced(house) -> None:
    given = await house.browser.get("/livez", headers={"x-request-id": "player-42.retry_1"})
    assert given.headers["x-request-id"] == "player-42.retry_1"
    for bad in ("short", "a" * 65, "with space here", "<script>alert(1)</script>", "", ".hidden-one"):
        made = (await house.browser.get("/livez", headers={"x-request-id": bad})).headers["x-request-id"]
        assert WELL_FORMED.fullmatch(made), bad
    missing = await house.browser.get("/no/such/page")
    assert WELL_FORMED.fullmatch(missing.headers["x-request-id"])


async def test_one_line_a_request_without_what_it_said(house) -> None:
    secret = "5ec2e7" * 10
    for method, path, route in (
        ("GET", f"/?page=1&token={secret}", "/"),
        ("GET", f"/nowhere/{secret}", "none"),
        ("POST", f"/api/v1/operator/competitions?{secret}", "/api/v1/operator/competitions"),
    ):
        with capture_logs() as lines:
            headers = {"authorization": f"Bearer {secret}", "cookie": secret}
            answer = await house.browser.request(method, path, content=secret.encode(), headers=headers)
        (line,) = (line for line in lines if line["event"] == "request")
        assert {name: line[name] for name in ("method", "route", "status")} == {
            "method": method,
            "route": route,
            "status": answer.status_code,
        }
        assert line["ms"] >= 0
        assert secret not in repr(lines)


async def test_status_for_everyone(alive) -> None:
    await alive.competition(CollectingEntries(terms_hash="00"))
    for _ in range(5):
        await alive.engine.health.sample()
    page = (await alive.browser.get("/status")).text
    assert "Every service answers." in page
    assert "in step with the Bitcoin node" in page
    assert "collecting entries" in page
    answer = (await alive.browser.get("/api/v1/status")).json()
    assert (answer["health"], answer["chain_lag"], answer["frozen"]) == ("degraded", 0, None)
    assert answer["competitions"] == {"collecting_entries": 1}


async def test_status_says_what_is_away_since_when_and_why_no_ticket_is_sold(alive) -> None:
    since = alive.engine.clock.wall()
    alive.engine.dependencies.record(Dependency.ORACLE, since, "does not answer")
    lag(alive.engine.dependencies.lookout, None)
    page = (await alive.browser.get("/status")).text
    assert page.count("the oracle does not answer, since <time") == 2
    assert "not known: the Bitcoin node does not answer" in page
    alive.engine.freezer.frozen = Frozen("the disk is <full>", UnixTime(since - 3_600))
    page = (await alive.browser.get("/status")).text
    assert "The operator lets no new money in: the disk is &lt;full&gt;, since" in page
    assert "1 hour ago" in page
    assert (await alive.browser.get("/api/v1/status")).json()["frozen"]["reason"] == "the disk is <full>"


async def test_a_command_that_nobody_would_act_on_is_not_taken(alive) -> None:
    lane = await alive.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    before = await alive.rows()
    vitals = alive.engine.vitals
    now = vitals.clock()
    vitals.clock = lambda: now + 31.0
    refused = await alive.signed("POST", path)
    assert (refused.status_code, refused.json()["code"]) == (503, "engine.stalled")
    assert int(refused.headers["retry-after"]) > 0
    assert await alive.rows() == before
    assert (await alive.browser.get(f"/api/v1/competitions/{lane}")).status_code == 200
    vitals.clock = lambda: now
    assert (await alive.signed("POST", path)).json().get("code") != "engine.stalled"


@pytest.mark.parametrize(("rows", "late"), [(10_001, 0), (1, 31)])
async def test_no_command_is_taken_while_there_is_too_much_to_do(alive, rows: int, late: int) -> None:
    lane = await alive.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    health = alive.engine.health
    await health.sample()
    before, calm = await alive.rows(), health.progress
    since = UnixTime(health.clock.wall() - late)
    health.progress = msgspec.structs.replace(calm, inbox={0: rows - 1, 5: 1}, inbox_oldest=since)
    refused = await alive.signed("POST", path)
    assert (refused.status_code, refused.json()["code"]) == (503, "engine.overloaded")
    assert refused.headers["retry-after"] == "5"
    assert await alive.rows() == before
    assert (await alive.browser.get(f"/api/v1/competitions/{lane}")).status_code == 200
    health.progress = msgspec.structs.replace(calm, inbox={0: 10_000}, inbox_oldest=health.clock.wall())
    assert (await alive.signed("POST", path)).json().get("code") != "engine.overloaded"


async def test_channels_on_which_nobody_answers_are_named(alive) -> None:
    assert (await alive.browser.get("/healthz")).json()["silent_channels"] == []
    for _ in range(5):
        alive.engine.breakers.note("keymeld", answered=False)
    assert (await alive.browser.get("/healthz")).json()["silent_channels"] == ["keymeld"]
