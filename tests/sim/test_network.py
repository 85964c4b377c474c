"""HTTP within one process: answers, streams, every fault and every kind of outage, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.harness.faults import Fault, FaultKind, FaultSource
from tests.harness.sim.links import Link, Manner
from tests.harness.sim.loop import BEGINNING, VirtualLoop, run
from tests.harness.sim.network import Network

COORDINATOR = {"User-Agent": "coordinator/0.1"}
ANSWER = b"a long answer that can be cut in its middle"


class Service:
    """Echoes, streams, or says nothing, by path."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        self.heard.append((scope["path"], message["body"]))
        if scope["path"] == "/silent":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
            return
        if scope["path"] == "/broken":
            raise RuntimeError("a defect of the service")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        if scope["path"] == "/stream":
            for number in range(3):
                await asyncio.sleep(10.0)
                await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})
        await send({"type": "http.response.body", "body": ANSWER})


class Given(FaultSource):
    """The same fault for each call."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("given", 0.0)
        self._fault = fault

    def draw(self) -> Fault | None:
        return self._fault


Scenario = Callable[[httpx.AsyncClient, str, Link, Service], Awaitable[Any]]


def play(scenario: Scenario, timeout: float = 5.0) -> Any:
    async def start() -> Any:
        network, service = Network(), Service()
        url, link = network.serve("service", service)
        with network.instead_of_sockets():
            async with httpx.AsyncClient(timeout=timeout, trust_env=False, headers=COORDINATOR) as client:
                try:
                    return await scenario(client, url, link, service)
                finally:
                    await network.close()

    return run(start(), VirtualLoop())


def since() -> float:
    return asyncio.get_running_loop().time() - BEGINNING


def test_a_call_and_its_answer() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        answer = await client.post(f"{url}/a%20b?c=d", content=b"body")
        assert (answer.status_code, answer.content) == (200, ANSWER)
        assert service.heard == [("/a b", b"body")]
        assert link.calls == 1

    play(scenario)


def test_nobody_listens() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1")

    play(scenario)


def test_a_stream_comes_piece_by_piece() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> list[tuple[float, bytes]]:
        async with client.stream("GET", f"{url}/stream") as answer:
            return [(since(), piece) async for piece in answer.aiter_raw()]

    pieces = play(scenario, timeout=15.0)
    assert pieces == [(10.0, b"0\n"), (20.0, b"1\n"), (30.0, b"2\n"), (30.0, ANSWER)]


def test_patience_ends_and_the_service_hears_of_it() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{url}/silent")
        assert since() == 5.0
        await service.gone.wait()

    play(scenario)


def test_a_defect_of_a_service_is_500() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> int:
        return (await client.get(f"{url}/broken")).status_code

    assert play(scenario) == 500


@pytest.mark.parametrize(
    ("kind", "raised", "heard", "seconds"),
    [
        (FaultKind.REFUSED, httpx.ConnectError, 0, 0.0),
        (FaultKind.PARTITION, httpx.ConnectError, 0, 0.0),
        (FaultKind.HALF_OPEN, httpx.ReadError, 0, 3.0),
        (FaultKind.TRUNCATED, httpx.ReadError, 1, 0.0),
        (FaultKind.LOST_ACKNOWLEDGEMENT, httpx.ReadError, 1, 0.0),
    ],
)
def test_a_fault_that_breaks_the_call(kind: FaultKind, raised: type[Exception], heard: int, seconds: float) -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        link.single = Given(Fault(kind, seconds=3.0))
        with pytest.raises(raised):
            await client.get(url)
        assert len(service.heard) == heard
        assert since() == seconds

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "status", "heard", "seconds"),
    [
        (FaultKind.INTERNAL_ERROR, 500, 0, 0.0),
        (FaultKind.TOO_MANY, 429, 0, 0.0),
        (FaultKind.SLOW, 200, 1, 0.5),
        (FaultKind.DUPLICATED, 200, 2, 0.0),
    ],
)
def test_a_fault_that_answers(kind: FaultKind, status: int, heard: int, seconds: float) -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        link.single = Given(Fault(kind, second_answer=True))
        answer = await client.get(url)
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (status == 429)
        assert len(service.heard) == heard
        assert since() == seconds

    play(scenario)


def test_a_partition_lasts() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        link.single = Given(Fault(FaultKind.PARTITION, seconds=3.0))
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
        link.single = None
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
        await asyncio.sleep(3.0)
        assert (await client.get(url)).status_code == 200

    play(scenario)


def test_players_meet_no_single_faults() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> int:
        link.single = Given(Fault(FaultKind.REFUSED))
        return (await client.get(url, headers={"User-Agent": "player"})).status_code

    assert play(scenario) == 200


@pytest.mark.parametrize(
    ("manner", "found", "seconds"),
    [
        (Manner.REFUSED, httpx.ConnectError, 0.0),
        (Manner.HALF_OPEN, httpx.ReadTimeout, 5.0),
        (Manner.INTERNAL_ERROR, 500, 0.0),
        (Manner.TOO_MANY, 429, 0.0),
        (Manner.SLOW, 200, 0.5),
    ],
)
def test_an_outage_meets_everyone_until_it_ends(manner: Manner, found: type[Exception] | int, seconds: float) -> None:
    async def ask(client: httpx.AsyncClient, url: str) -> object:
        try:
            return (await client.get(url, headers={"User-Agent": "player"})).status_code
        except httpx.HTTPError as error:
            return type(error)

    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        link.break_off(manner)
        assert await ask(client, url) == found
        assert since() == seconds
        link.mend()
        assert await ask(client, url) == 200

    play(scenario)


def test_an_outage_cuts_what_was_under_way() -> None:
    async def scenario(client: httpx.AsyncClient, url: str, link: Link, service: Service) -> None:
        asyncio.get_running_loop().call_later(12.0, link.break_off)
        with pytest.raises(httpx.ReadError):
            await client.get(f"{url}/stream")
        assert since() == 12.0

    play(scenario, timeout=15.0)
