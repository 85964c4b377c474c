"""A coordinator that starts while its node or Lightning is away: it serves, waits, and goes on when they are back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from coordinator.cli.embedded import Stack
from tests.e2e.chain import ANYONE
from tests.e2e.services import Services
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("services away")]
PATIENCE = 120


class House:
    """Services that go away, and a coordinator that has run on them before."""

    def __init__(self, directory: Path) -> None:
        self.stack = Stack(directory)

    def start(self) -> None:
        self.stack.start_services()
        ready = self.stack.ready()
        # Who comes back comes back where it was.
        self.stack.ports = {
            "node": port(ready["node"]["url"]),
            "esplora": port(ready["node"]["esplora"]),
            "lightning": port(ready["lightning"]["url"]),
        }
        self.stack.start_coordinator()
        self.stack.children["coordinator"].stop()

    def end(self, name: str) -> None:
        self.stack.children[name].stop()

    def back(self, name: str) -> None:
        self.stack.start_services(names=[name])

    @property
    def height(self) -> int:
        with closing(sqlite3.connect(self.stack.directory / "coordinator" / "coordinator.db")) as connection:
            return connection.execute("SELECT max(height) FROM chain_block").fetchone()[0]


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found is not None
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("away"))
    with made.stack:
        made.start()
        yield made


async def readiness(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await client.get("/readyz")
    return answer.status_code, {found["service"]: found["problem"] for found in answer.json()["services"]}


async def ready(client: httpx.AsyncClient) -> bool | None:
    return (await readiness(client))[0] == 200 or None


async def higher(house: House, before: int) -> bool | None:
    return house.height > before or None


@pytest.mark.parametrize(("name", "service"), [("lightning", "lightning"), ("node", "bitcoin")])
async def test_it_starts_without_one_of_them_and_goes_on_when_it_is_back(house: House, name: str, service: str) -> None:
    house.end(name)
    house.stack.start_coordinator()
    url = f"http://127.0.0.1:{house.stack.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as client:
        for path in ("/livez", "/", "/api/v1/competitions", "/status"):
            assert (await client.get(path)).status_code == 200, path
        status, problems = await readiness(client)
        assert status == 503
        assert problems[service]
        assert "not ready yet" in (house.stack.directory / "logs" / "coordinator.log").read_text()
        house.back(name)
        await wait_for(lambda: ready(client), "/readyz says so")
        before = house.height
        services = Services(house.stack)
        await services.rpc("generateblock", ANYONE, [])
        await services.close()
        await wait_for(lambda: higher(house, before), "the new block is stored")
    house.stack.children["coordinator"].stop()
