"""Bodies, error envelope, rate limits, enclave keys (keymeld sections 2.1, 2.3, 4.7)."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.embedded.keymeld.http.app import gateway_app
from coordinator.embedded.keymeld.http.rate_limit import RateLimiter, RateLimits, is_limited

RESERVE = "/api/v1/keygen/reserve"
JSON = {"Content-Type": "application/json"}


async def test_gzip_bodies(make_party):
    party = make_party()
    answer = await party.post("/keygen/reserve", party.reserve_body(), compress=True)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"{}", {**JSON, "Content-Encoding": "br"}, 415),
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b"{}", JSON, 422),
        (b"[]", JSON, 422),
        (b"not gzip", {**JSON, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-6], {**JSON, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * (3 << 20), mtime=0), {**JSON, "Content-Encoding": "gzip"}, 413),
        (b" " * (3 << 20), JSON, 413),
    ],
)
async def test_bodies_that_do_not_reach_the_handler(http, content, headers, status):
    answer = await http.post(RESERVE, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_wrong_field_is_named(make_party):
    party = make_party()
    body = party.reserve_body()
    body["authorization_manifest"]["manifest"]["creator_pubkey"][3] = 256
    answer = await party.post("/keygen/reserve", body)
    assert answer.status_code == 422
    assert "authorization_manifest.manifest.creator_pubkey" in answer.text


async def test_unknown_members_are_ignored(make_party):
    party = make_party()
    assert (await party.post("/keygen/reserve", {**party.reserve_body(), "more": 1})).status_code == 200


@pytest.mark.parametrize("path", ["/keygen/XYZ/status", "/signing/1/status/2", "/enclaves/x/public-key"])
async def test_bad_ids_in_paths(http, path):
    header = "v1:1:" + "00" * 16 + ":" + "00" * 64
    headers = {"X-Session-Signature": header, "X-User-Signature": header}
    assert (await http.get(f"/api/v1{path}", headers=headers)).status_code == 400


async def test_enclave_keys_are_unattested(http, refused):
    listed = (await http.get("/api/v1/enclaves")).json()
    assert listed["total_enclaves"] == listed["healthy_enclaves"] == 2
    assert len({enclave["public_key"] for enclave in listed["enclaves"]}) == 2
    for enclave in listed["enclaves"]:
        path = f"/api/v1/enclaves/{enclave['enclave_id']}/public-key"
        answer = (await http.get(path, params={"nonce": "ab" * 32})).json()
        assert answer["public_key"] == enclave["public_key"]
        assert answer["key_epoch"] == 1
        assert answer["attestation_document"] == ""
        assert answer["pcr_measurements"] == {}
        refused(await http.get(path, params={"nonce": "ab" * 31}), 400, "32 bytes")
    refused(await http.get("/api/v1/enclaves/9/public-key"), 503)


async def test_service_calls(http):
    assert (await http.get("/api/v1/version")).json()["api_version"] == "v1"
    assert (await http.get("/api/v1/escrow/capabilities")).json() == {"escrow": False}
    health = await http.get("/api/v1/health")
    assert (health.status_code, health.content) == (200, b"")
    assert (await http.get("/api/v1/health/detail")).json()["total_enclaves"] == 2
    assert "keymeld_enclaves 2" in (await http.get("/api/v1/metrics")).text
    assert (await http.get("/control/faults")).status_code == 404


async def test_only_named_origins_may_call(gateway):
    app = gateway_app(gateway, allowed_origins=["http://page.test"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://keymeld.test") as client:
        named = await client.get("/api/v1/version", headers={"Origin": "http://page.test"})
        other = await client.get("/api/v1/version", headers={"Origin": "http://evil.test"})
    assert named.headers["access-control-allow-origin"] == "http://page.test"
    assert "access-control-allow-origin" not in other.headers


async def test_429_says_when_to_come_back(gateway):
    app = gateway_app(gateway, limits=RateLimits(address_burst=2, address_rate=0.01))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://keymeld.test") as client:
        for _ in range(2):
            assert (await client.post(RESERVE, content=b"{}", headers=JSON)).status_code == 422
        answer = await client.post(RESERVE, content=b"{}", headers=JSON)
        assert (await client.get("/api/v1/version")).status_code == 200
    assert answer.status_code == 429
    assert answer.json()["error_code"] == "rate_limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 100


def test_buckets_refill_for_an_address_and_for_all():
    now = [0.0]
    limits = RateLimits(address_burst=2, address_rate=1.0, global_burst=3, global_rate=1.0, tracked_addresses=2)
    limiter = RateLimiter(limits, lambda: now[0])
    assert [limiter.retry_after("a") for _ in range(3)] == [0, 0, 1]
    assert limiter.retry_after("b") == 0
    assert limiter.retry_after("b") == 1
    now[0] = 2.0
    assert [limiter.retry_after("a") for _ in range(3)] == [0, 0, 1]


def test_the_oldest_address_is_forgotten_beyond_the_limit():
    limits = RateLimits(address_burst=1, address_rate=0.001, tracked_addresses=2)
    limiter = RateLimiter(limits, lambda: 0.0)
    assert [limiter.retry_after(address) for address in ("a", "b", "c")] == [0, 0, 0]
    assert limiter.retry_after("a") == 0
    assert limiter.retry_after("c") > 0


@pytest.mark.parametrize(
    ("method", "path", "limited"),
    [
        ("GET", "/api/v1/keygen/x/status", False),
        ("GET", "/api/v1/enclaves/0/public-key", True),
        ("GET", "/api/v1/escrow/capabilities", True),
        ("POST", "/api/v1/signing", True),
    ],
)
def test_what_is_limited(method, path, limited):
    assert is_limited(method, path) is limited


def _mutations(body: dict, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    for key, value in body.items():
        found += _mutations(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]
    return found


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=20),
    st.lists(st.integers(-1, 300), max_size=40),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_hostile_fields_get_a_typed_refusal(make_party, data):
    party = make_party()
    body = json.loads(json.dumps(party.reserve_body()))
    path = data.draw(st.sampled_from(_mutations(body)))
    target = body
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = data.draw(HOSTILE)
    answer = await party.post("/keygen/reserve", body)
    assert answer.status_code in (200, 400, 401, 422), answer.text
