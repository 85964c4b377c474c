"""Servers that say "later": every call of the player waits as long as it is asked to, and no longer than it should."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from coordinator.player import busy
from coordinator.player.gateway import Gateway
from coordinator.player.http import ServerRefused, Service
from coordinator.player.pace import Pace
from coordinator_core.errors import CoreError, Fault
from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

KEY = SecretKey.from_bytes(b"\x05" * 32)
UUID_TEXT = "01926f3a-0000-7000-8000-000000000001"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause that was made, without waiting."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("coordinator.player.http.asyncio.sleep", pause)
    return made


class Busy:
    """A server that refuses the first requests with a status, and keeps what it saw."""

    def __init__(self, refusals: int, wanted: str | None = "3", status: int = 429) -> None:
        self.left, self.wanted, self.status = refusals, wanted, status
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.left:
            self.left -= 1
            headers = {} if self.wanted is None else {"Retry-After": self.wanted}
            return httpx.Response(self.status, json={"code": "too_many", "detail": "slow down"}, headers=headers)
        return httpx.Response(200, content=b'{"ok": true}\n')

    @property
    def service(self) -> Service:
        return Service("coordinator", "http://replayed", KEY, transport=httpx.MockTransport(self))


CALLS: dict[str, Callable[[Service], Awaitable[Any]]] = {
    "get": lambda s: s.get("/x"),
    "get signed": lambda s: s.get("/x", signed=True),
    "get_json": lambda s: s.get_json("/x"),
    "read": lambda s: s.read("/x", object),
    "post": lambda s: s.send("/x", {}, object, signed=True),
    "put": lambda s: s.send("/x", {}, object, signed=True, method="PUT"),
    "post_raw": lambda s: s.post_raw("/tx", b"00"),
    "stream": lambda s: s.first_line("/x", {}, {}),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_is_made_again_after_the_pause_that_was_asked_for(call: str, pauses: list[float]) -> None:
    server = Busy(2, "7")
    assert await CALLS[call](server.service)
    assert pauses == [7.0, 7.0]
    assert len(server.seen) == 3
    assert len({(request.method, request.url, request.content) for request in server.seen}) == 1


async def test_each_time_with_a_fresh_proof(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may have counted the first proof as used, and it is too old after a pause."""
    times = itertools.count(1_000, 7)
    monkeypatch.setattr("coordinator.player.http.time.time", lambda: next(times))
    server = Busy(1)
    await server.service.send("/x", {}, object, signed=True)
    first, second = (request.headers["Authorization"] for request in server.seen)
    assert first != second


async def test_a_gateways_proof_is_made_afresh_too(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    server = Busy(1)
    gateway = Gateway("http://replayed")
    monkeypatch.setattr(gateway, "_service", server.service)
    user = UserAccess(SessionAccess(UUID_TEXT, Secret(b"\x07" * 32)), UUID_TEXT, KEY)
    with pytest.raises(CoreError, match="batch_items"):
        await gateway.batch(user, UUID_TEXT, UnixTime(1_000))
    first, second = (request.headers["X-User-Signature"] for request in server.seen)
    assert first != second


async def test_a_server_that_stays_busy_is_given_up_with_its_own_words(pauses: list[float]) -> None:
    server = Busy(100, "5")
    with pytest.raises(ServerRefused, match="slow down") as caught:
        await server.service.get("/x")
    assert len(server.seen) == busy.TRIES
    assert pauses == [5.0] * (busy.TRIES - 1)
    assert (caught.value.status, caught.value.retry_after) == (429, 5.0)
    assert caught.value.fault is Fault.COORDINATOR


@pytest.mark.parametrize("wanted", [None, "61", "999999999", "9" * 30, "-1", "1.5", "soon", "", "٣", "nan", "inf"])
async def test_nobody_waits_for_nothing_nor_for_ever(pauses: list[float], wanted: str | None) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = [] if wanted is None else [(b"Retry-After", wanted.encode())]
        return httpx.Response(429, headers=headers)

    service = Service("coordinator", "http://replayed", transport=httpx.MockTransport(answer))
    with pytest.raises(ServerRefused):
        await service.get("/x")
    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 409, 500, 503])
async def test_no_other_refusal_is_sent_again_by_itself(pauses: list[float], status: int) -> None:
    server = Busy(1, "3", status)
    with pytest.raises(ServerRefused) as caught:
        await server.service.send("/x", {}, object)
    assert len(server.seen) == 1
    assert caught.value.retry_after == 3.0
    assert pauses == []


def test_a_pause_may_be_named_as_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.player.busy.time.time", lambda: 1_000_000.0)
    assert busy.retry_after(formatdate(1_000_030, usegmt=True)) == 30.0
    assert busy.retry_after(formatdate(999_000, usegmt=True)) == 0.0
    assert busy.retry_after(" 12 ") == 12.0


@pytest.mark.parametrize(("wanted", "paused"), [(None, 0.75), (0.1, 0.75), (20.0, 20.0), (900.0, busy.LONGEST_WAIT)])
async def test_a_loop_looks_again_when_the_server_wants_it_to(
    monkeypatch: pytest.MonkeyPatch, wanted: float | None, paused: float
) -> None:
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("coordinator.player.pace.asyncio.sleep", pause)
    error = ServerRefused("coordinator", 503, "competition.paused", "pauses", retry_after=wanted)
    await Pace(lambda _: None).after(error, 5.0)
    assert made == [paused]
