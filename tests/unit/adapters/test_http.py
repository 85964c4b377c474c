from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import stamina
from msgspec import Struct

from coordinator.adapters.http import HttpClient, RequestBudget, TransportError
from coordinator.ports.faults import LONGEST_ASKED, Unsuitable
from coordinator_core.errors import Fault
from coordinator_core.secret import Secret

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **options: object) -> HttpClient:
    return HttpClient(
        "node",
        "http://127.0.0.1:1/base",
        fault=Fault.NODE,
        transport=httpx.MockTransport(handler),
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


async def test_a_status_is_a_value() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "x"}, headers={"Retry-After": "7"})

    async with client(handler, headers={"Macaroon": Secret(b"abc")}) as http:
        reply = await http.post("/a", json={"n": 1}, headers={"X-One": "2"})
    assert (reply.ok, reply.status, reply.json(), reply.retry_after) == (False, 404, {"error": "x"}, 7.0)
    assert seen[0].url == "http://127.0.0.1:1/base/a"
    assert seen[0].content == b'{"n":1}'
    assert seen[0].headers["macaroon"] == "abc"
    assert seen[0].headers["x-one"] == "2"
    assert seen[0].headers["user-agent"].startswith("coordinator/")


async def test_redirects_are_not_followed() -> None:
    async with client(lambda request: httpx.Response(302, headers={"Location": "http://other/"})) as http:
        assert (await http.get("/")).status == 302


async def test_a_refused_connection_was_not_sent_and_names_no_address() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        async with HttpClient("node", f"http://127.0.0.1:{port}", fault=Fault.NODE) as http:
            with pytest.raises(TransportError) as caught:
                await http.get("/secret-path")
    assert caught.value.sent is False
    assert caught.value.fault is Fault.NODE
    assert "secret-path" not in str(caught.value)
    assert str(port) not in str(caught.value)


async def test_a_broken_connection_may_have_been_sent() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    async with client(handler) as http:
        with pytest.raises(TransportError) as caught:
            await http.post("/")
    assert caught.value.sent is True


async def test_a_silent_service_ends_at_the_deadline() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    transport = httpx.MockTransport(handler)
    async with HttpClient("node", "http://h", fault=Fault.NODE, transport=transport) as http:
        with pytest.raises(TransportError, match="no answer within") as caught:
            await http.request("GET", "/", timeout=0.01)
    assert caught.value.sent is True


async def test_a_long_answer_is_cut_off() -> None:
    async with client(lambda request: httpx.Response(200, content=bytes(101)), max_body=100) as http:
        with pytest.raises(TransportError, match="longer than 100"):
            await http.get("/")
    async with client(lambda request: httpx.Response(200, content=bytes(100)), max_body=100) as http:
        assert len((await http.get("/")).body) == 100


class Answer(Struct):
    n: int


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[1,"])
async def test_a_body_that_is_no_json_is_an_error(body: bytes) -> None:
    async with client(lambda request: httpx.Response(200, content=body)) as http:
        reply = await http.get("/")
    with pytest.raises(TransportError):
        reply.json()
    with pytest.raises(TransportError):
        reply.decode(Answer)


async def test_a_typed_body_is_checked() -> None:
    async with client(lambda request: httpx.Response(200, json={"n": "1"})) as http:
        reply = await http.get("/")
    with pytest.raises(TransportError, match=r"\$\.n"):
        reply.decode(Answer)


async def test_reads_are_repeated_with_fresh_headers(no_pauses: None) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["x-nonce"])
        if len(seen) == 1:
            raise httpx.ConnectError("no", request=request)
        return httpx.Response(503 if len(seen) == 2 else 200)

    nonces = iter("abcdef")
    async with client(handler) as http:
        reply = await http.get_with_retries("/", headers=lambda: {"X-Nonce": next(nonces)})
    assert reply.status == 200
    assert seen == ["a", "b", "c"]


async def test_reads_give_up_after_their_attempts(no_pauses: None) -> None:
    calls = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(502)

    async with client(handler) as http:
        with pytest.raises(TransportError, match="502"):
            await http.get_with_retries("/", attempts=3)
    assert calls == 3


async def test_other_errors_are_not_repeated(no_pauses: None) -> None:
    calls = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(400)

    async with client(handler) as http:
        assert (await http.get_with_retries("/")).status == 400
        assert (await http.post("/")).status == 400
    assert calls == 2


async def test_retry_after_is_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def record(seconds: float) -> None:
        pauses.append(seconds)

    answers = iter([httpx.Response(429, headers={"Retry-After": "9"}), httpx.Response(200)])
    async with client(lambda request: next(answers)) as http:
        monkeypatch.setattr(asyncio, "sleep", record)
        assert (await http.get_with_retries("/", within=30)).status == 200
    assert pauses == [9.0]


async def test_a_pause_longer_than_the_call_is_the_callers() -> None:
    async with client(lambda request: httpx.Response(429, headers={"Retry-After": "31"})) as http:
        with pytest.raises(TransportError) as caught:
            await http.get_with_retries("/", within=30)
    assert caught.value.retry_after == 31.0
    assert caught.value.sent is False


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def test_a_budget_paces_after_its_burst() -> None:
    clock = Clock()
    budget = RequestBudget(10, burst=3, clock=clock, sleep=clock.sleep)
    for _ in range(5):
        await budget.take("node", Fault.NODE)
    assert clock.slept == pytest.approx([0.1, 0.1])
    clock.now += 60
    clock.slept.clear()
    for _ in range(4):
        await budget.take("node", Fault.NODE)
    assert clock.slept == pytest.approx([0.1])


async def test_a_budget_refuses_who_would_wait_too_long() -> None:
    clock = Clock()
    budget = RequestBudget(1, burst=1, patience=5, clock=clock, sleep=clock.sleep)
    budget.pause(5.5)
    with pytest.raises(TransportError, match="budget") as caught:
        await budget.take("node", Fault.NODE)
    assert caught.value.sent is False


async def test_429_pauses_everybody() -> None:
    clock = Clock()
    budget = RequestBudget(1000, burst=10, clock=clock, sleep=clock.sleep)
    answers = iter([httpx.Response(429, headers={"Retry-After": "3"}), httpx.Response(200)])
    async with client(lambda request: next(answers), budget=budget) as http:
        await http.post("/")
        await http.post("/")
    assert clock.slept == pytest.approx([3.0])


@pytest.mark.parametrize("asked", ["121", "999999", "9" * 400])
async def test_no_service_shuts_itself_out_for_days(asked: str) -> None:
    clock = Clock()
    budget = RequestBudget(1000, burst=10, patience=1e12, clock=clock, sleep=clock.sleep)
    answers = iter([httpx.Response(429, headers={"Retry-After": asked}), httpx.Response(200)])
    async with client(lambda request: next(answers), budget=budget) as http:
        assert (await http.post("/")).retry_after == LONGEST_ASKED
        await http.post("/")
    assert clock.slept == pytest.approx([LONGEST_ASKED])


async def test_429_without_a_time_pauses_for_a_second() -> None:
    clock = Clock()
    budget = RequestBudget(1000, burst=10, clock=clock, sleep=clock.sleep)
    answers = iter([httpx.Response(429, headers={"Retry-After": "soon"}), httpx.Response(200)])
    async with client(lambda request: next(answers), budget=budget) as http:
        await http.post("/")
        await http.post("/")
    assert clock.slept == pytest.approx([1.0])


async def test_mistakes_of_ours_are_not_repeated(no_pauses: None) -> None:
    calls = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    async with client(handler) as http:
        with pytest.raises(ZeroDivisionError):
            await http.get_with_retries("/")
    assert calls == 1


@pytest.mark.parametrize("url", ["ftp://h", "h:80", "http://user:pw@h", "http://", "http://h:x", ""])
def test_an_address_must_be_plain_http_without_credentials(url: str) -> None:
    with pytest.raises(Unsuitable) as caught:
        HttpClient("node", url, fault=Fault.NODE)
    assert "pw" not in str(caught.value)


class Chunks(httpx.AsyncByteStream):
    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error


async def test_a_stream_yields_whole_lines() -> None:
    body = Chunks(b'{"a"', b':1}\n\n{"b":2}\n{"c"', b":3}")
    lines: list[bytes] = []
    async with client(lambda request: httpx.Response(200, stream=body)) as http:
        await collect(http, lines)
    assert lines == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


async def test_a_broken_stream_is_an_error() -> None:
    body = Chunks(b"one\n", error=httpx.ReadTimeout("silent"))
    async with client(lambda request: httpx.Response(200, stream=body)) as http:
        read: list[bytes] = []
        with pytest.raises(TransportError, match="ReadTimeout"):
            await collect(http, read)
    assert read == [b"one"]


async def test_a_refused_stream_is_an_error_with_its_reason() -> None:
    async with client(lambda request: httpx.Response(404, content=b"unable to locate invoice")) as http:
        with pytest.raises(TransportError, match="404: unable to locate"):
            await collect(http, [])


async def test_an_endless_line_is_cut_off() -> None:
    body = Chunks(*[b"x" * 60] * 3)
    async with client(lambda request: httpx.Response(200, stream=body), max_body=100) as http:
        with pytest.raises(TransportError, match="line longer"):
            await collect(http, [])


async def collect(http: HttpClient, into: list[bytes]) -> None:
    async with http.stream_lines("GET", "/") as lines:
        async for line in lines:
            into.append(line)
