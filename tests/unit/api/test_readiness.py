"""/readyz: 503 with a sentence for each service that cannot be worked with, and no storm of questions."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from litestar import Litestar
from litestar.di import Provide
from litestar.testing import AsyncTestClient

from coordinator.api.context import Api
from coordinator.api.examinations import Examinations
from coordinator.api.routes.readiness import readyz
from coordinator.engine.engine import Engine
from coordinator.ports.bitcoin import Network
from coordinator.ports.condition import Condition
from coordinator_core.secret import Secret

NODE = Condition("bitcoin", "Satoshi:31.99.0", note="not tested")
LOCKED = Condition("lightning", problem="the wallet is locked: unlock it (lncli unlock)", answers=False)


@dataclass
class Service:
    """A service with a condition, which counts how often it was examined."""

    found: Condition
    service: str = "service"
    asked: int = 0
    silent: bool = field(default=False)

    async def condition(self) -> Condition:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return self.found


def client(*services: Service) -> AsyncTestClient[Litestar]:
    engine = cast(Engine, None)  # the route asks nothing else of the Api
    api = Api(engine, "", Secret(b"t"), Network.REGTEST, examinations=Examinations(services))
    return AsyncTestClient(Litestar([readyz], dependencies={"api": Provide(lambda: api, sync_to_thread=False)}))


async def test_ready() -> None:
    async with client(Service(NODE)) as http:
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    service = {"service": "bitcoin", "ready": True, "version": "Satoshi:31.99.0", "problem": "", "note": "not tested"}
    assert answer.json() == {"ready": True, "services": [service]}


async def test_one_that_is_not() -> None:
    async with client(Service(NODE), Service(LOCKED)) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert [service["problem"] for service in answer.json()["services"]] == ["", LOCKED.problem]


async def test_many_who_ask_are_one_examination() -> None:
    service = Service(NODE)
    made = Examinations((service,))
    await asyncio.gather(*(made.readiness() for _ in range(20)))
    assert service.asked == 1
    stale = Examinations((service,), fresh=0)
    for _ in range(2):
        await stale.readiness()
    assert service.asked == 3


async def test_a_silent_service_does_not_hold_the_answer_up() -> None:
    service = Service(NODE, service="bitcoin", silent=True)
    found = await Examinations((service,), patience=0.01).readiness()
    assert not found.ready
    assert found.services[0].service == "bitcoin"
    assert "did not answer" in found.services[0].problem
