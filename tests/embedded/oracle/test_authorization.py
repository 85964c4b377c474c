"""Signed requests: each check, and that checks answer in their order."""

import json
import time

import pytest

BODY = b'{"x":1}'
PATH = "/oracle/events"


async def refusal(bench, header: str | None, body: bytes = BODY, path: str = PATH) -> tuple[int, str]:
    headers = {} if header is None else {"Authorization": header}
    response = await bench.http.post(path, content=body, headers=headers)
    error = response.json()["error"]
    return response.status_code, error["type"] if isinstance(error, dict) else error


async def test_a_request_without_signature_is_missing_it(bench) -> None:
    assert await refusal(bench, None) == (401, "missing")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "Nostr !!!",
        "Nostr e30=",
        "Nostr " + "A" * 8_200,
        "Nostr bm9uc2Vuc2U=",
    ],
)
async def test_a_header_that_is_no_event_is_malformed(bench, header: str) -> None:
    assert await refusal(bench, header) == (400, "malformed")


@pytest.mark.parametrize("changes", [{"kind": 1}, {"content": "x"}, {"pubkey": "00"}, {"created_at": "now"}])
async def test_an_event_of_another_form_is_malformed(bench, changes) -> None:
    assert await refusal(bench, bench.coordinator.header("POST", PATH, BODY, **changes)) == (400, "malformed")


@pytest.mark.parametrize(
    "tags",
    [
        [["method", "POST"]],
        [["u", "http://oracle.test/oracle/events"]],
        [["u", "not a url"], ["method", "POST"]],
        [["u", "http://oracle.test/oracle/events"], ["method", "BREW"]],
        [["u", "http://oracle.test/oracle/events"], ["method", "POST"], ["payload", "abc"]],
    ],
)
async def test_tags_that_do_not_parse_are_malformed(bench, tags) -> None:
    assert await refusal(bench, bench.coordinator.header("POST", PATH, BODY, tags=tags)) == (400, "malformed")


@pytest.mark.parametrize("off", [-120, 120])
async def test_an_old_or_early_event_is_expired_before_its_tags_are_read(bench, off: int) -> None:
    header = bench.coordinator.header("POST", PATH, BODY, created_at=int(time.time()) + off, tags=[])
    assert await refusal(bench, header) == (401, "expired")


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test/oracle/events",
        "https://oracle.test/oracle/events",
        "http://oracle.test:8080/oracle/events",
        "http://oracle.test/oracle/events/",
        "http://oracle.test/oracle/events?a=1",
    ],
)
async def test_another_url_is_a_mismatch_whatever_the_host_header_says(bench, url: str) -> None:
    header = bench.coordinator.header("POST", PATH, BODY, tags=[["u", url], ["method", "POST"]])
    response = await bench.http.post(PATH, content=BODY, headers={"Authorization": header, "Host": "other.test"})
    assert (response.status_code, response.json()["error"]["type"]) == (401, "mismatch")


async def test_urls_are_compared_after_normalisation(bench) -> None:
    tags = [["u", "HTTP://ORACLE.test:80/oracle/events"], ["method", "POST"], ["payload", "00" * 32]]
    assert await refusal(bench, bench.coordinator.header("POST", PATH, BODY, tags=tags)) == (400, "payload_mismatch")


async def test_another_method_is_a_mismatch(bench) -> None:
    assert await refusal(bench, bench.coordinator.header("GET", PATH, BODY)) == (401, "mismatch")


async def test_a_wrong_signature_or_id_is_refused_before_the_allow_list(bench) -> None:
    event = bench.coordinator.event("POST", PATH, BODY)
    stranger = bench.coordinator.event("POST", PATH, BODY)["sig"]
    for changes in ({"sig": stranger}, {"id": "00" * 32}):
        header = bench.coordinator.header("POST", PATH, BODY, **{**event, **changes})
        assert await refusal(bench, header) == (401, "bad_signature")


async def test_an_unlisted_signer_is_not_allowed_whatever_the_payload(bench) -> None:
    stranger = type(bench.coordinator)(99)
    assert await refusal(bench, stranger.header("POST", PATH, b"another body")) == (403, "not_allowed")


async def test_the_payload_must_be_that_of_the_body(bench) -> None:
    header = bench.coordinator.header("POST", PATH, b"another body")
    assert await refusal(bench, header) == (400, "payload_mismatch")
    tags = [["u", "http://oracle.test/oracle/events"], ["method", "POST"]]
    assert await refusal(bench, bench.coordinator.header("POST", PATH, BODY, tags=tags)) == (400, "payload_mismatch")


async def test_a_body_beyond_the_limit_is_refused(bench) -> None:
    body = b" " * (256 * 1024 + 1)
    assert await refusal(bench, bench.coordinator.header("POST", PATH, body), body) == (400, "body")


async def test_an_event_works_once(bench) -> None:
    header = bench.coordinator.header("POST", PATH, BODY)
    status, text = await refusal(bench, header)
    assert status == 400
    assert text.startswith("invalid JSON body")
    assert await refusal(bench, header) == (401, "replayed")


async def test_ids_are_forgotten_after_two_minutes_and_the_cache_is_bounded(bench, monkeypatch) -> None:
    elapsed = 0.0
    monkeypatch.setattr(bench.authorizer, "_elapsed", lambda: elapsed)
    monkeypatch.setattr("coordinator.embedded.oracle.authorization.MAX_REMEMBERED", 1)
    header = bench.coordinator.header("POST", PATH, BODY)
    assert (await refusal(bench, header))[0] == 400
    assert await refusal(bench, bench.coordinator.header("POST", PATH, BODY)) == (503, "busy")
    elapsed = 121.0
    assert (await refusal(bench, header))[0] == 400


async def test_roles_are_checked_last(bench) -> None:
    body = json.dumps({}).encode()
    assert await refusal(bench, bench.uploader.header("POST", PATH, body), body) == (403, "not_allowed")
    response = await bench.post("/oracle/update", b"", bench.coordinator)
    assert (response.status_code, response.json()["error"]["type"]) == (403, "not_allowed")
    assert (await bench.post("/oracle/update", b"", bench.uploader)).status_code == 202
