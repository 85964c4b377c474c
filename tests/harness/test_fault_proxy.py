"""Each fault is what it says: what reaches the service, and what reaches who asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.harness.fault_proxy import Call, FaultProxy
from tests.harness.faults import Fault, FaultKind, FaultSource

COORDINATOR = {"User-Agent": "coordinator/0.1"}
BODY = b"0123456789"


class Ordered(FaultSource):
    """Draws what a test orders."""

    def __init__(self) -> None:
        super().__init__("ordered", 0)
        self.next: Fault | None = None

    def draw(self) -> Fault | None:
        fault, self.next = self.next, None
        return fault


@dataclass
class Scene:
    proxy: FaultProxy
    faults: Ordered
    delivered: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def ask(self, fault: Fault | None = None, headers: dict[str, str] = COORDINATOR) -> httpx.Response:
        self.faults.next = fault
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.post(f"{self.proxy.url}/x", content=BODY, headers=headers)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    faults = Ordered()
    delivered: list[bytes] = []
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        delivered.append(await reader.readexactly(len(BODY)))
        answer = f"answer {len(delivered)}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(answer), answer))
        await writer.drain()
        writer.close()

    async def before(call: Call) -> None:
        seen.append(f"before {call.method} {call.path}")

    async def after(call: Call) -> None:
        seen.append(f"after {call.method} {call.path}")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, FaultProxy(target, faults, before, after) as proxy:
        yield Scene(proxy, faults, delivered, seen)


async def test_without_a_fault_calls_pass(scene: Scene) -> None:
    answer = await scene.ask()
    assert (answer.status_code, answer.content, scene.delivered) == (200, b"answer 1", [BODY])
    assert scene.seen == ["before POST /x", "after POST /x"]


async def test_who_is_not_the_coordinator_meets_no_fault_and_is_not_written_down(scene: Scene) -> None:
    answer = await scene.ask(Fault(FaultKind.REFUSED), headers={"User-Agent": "player"})
    assert answer.content == b"answer 1"
    assert scene.seen == []


@pytest.mark.parametrize(
    ("kind", "deliveries"),
    [
        (FaultKind.REFUSED, 0),
        (FaultKind.HALF_OPEN, 0),
        (FaultKind.PARTITION, 0),
        (FaultKind.TRUNCATED, 1),
        (FaultKind.LOST_ACKNOWLEDGEMENT, 1),
    ],
)
async def test_broken_connections(scene: Scene, kind: FaultKind, deliveries: int) -> None:
    with pytest.raises(httpx.HTTPError):
        await scene.ask(Fault(kind, seconds=0.01))
    assert scene.delivered == [BODY] * deliveries


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.INTERNAL_ERROR, 500), (FaultKind.TOO_MANY, 429)])
async def test_refusals_do_not_reach_the_service(scene: Scene, kind: FaultKind, status: int) -> None:
    answer = await scene.ask(Fault(kind))
    assert (answer.status_code, scene.delivered) == (status, [])
    assert ("retry-after" in answer.headers) == (status == 429)


@pytest.mark.parametrize(("second", "content"), [(False, b"answer 1"), (True, b"answer 2")])
async def test_delivered_twice(scene: Scene, second: bool, content: bytes) -> None:
    answer = await scene.ask(Fault(FaultKind.DUPLICATED, second_answer=second))
    assert (answer.content, scene.delivered) == (content, [BODY, BODY])


async def test_a_partition_lasts(scene: Scene) -> None:
    scene.proxy.part(60)
    with pytest.raises(httpx.HTTPError):
        await scene.ask()
    assert scene.delivered == []


def test_a_seed_draws_the_same_faults_again() -> None:
    def draws(seed: str) -> list[Fault | None]:
        source = FaultSource(seed, 50)
        return [source.draw() for _ in range(200)]

    assert draws("a") == draws("a") != draws("b")
    assert {fault.kind for fault in draws("a") if fault} == set(FaultKind)
    assert not any(FaultSource("a", 0).draw() for _ in range(200))
