"""Oracles under test, each behind the same handle."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from coordinator.adapters.oracle import NoaaOracle, NoaaSettings
from coordinator.embedded.oracle.faults import WriteFault
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime
from tests.e2e.mock_oracle import MockOracle, Outcome

ORACLE_NOW = 1_790_000_000
_runs = itertools.count(1)


class FixedClock:
    """A wall clock that is off by a number of seconds."""

    def __init__(self, off: int = 0) -> None:
        self.off = off

    def now(self) -> UnixTime:
        return UnixTime(int(time.time()) + self.off)


@dataclass
class OracleUnderTest:
    """An oracle, its client, and what only its owner can do."""

    url: str
    identity: SecretKey
    client: NoaaOracle
    set_time: Callable[[int], Any]
    queue: Callable[[UUID, tuple[int, ...]], Any]
    fail_next_write: Callable[[WriteFault], Any]
    clients: list[NoaaOracle]
    run: int

    def event_id(self, number: int) -> UUID:
        """An id that no other test uses: the process serves them all."""
        return UUID(f"01926f3a-0000-7000-8000-{self.run:08x}{number:04x}")

    def another_client(self, identity: SecretKey, *, off: int = 0) -> NoaaOracle:
        client = make_client(self.url, identity, off)
        self.clients.append(client)
        return client


def make_client(url: str, identity: SecretKey, off: int = 0) -> NoaaOracle:
    return NoaaOracle(NoaaSettings(url=url, is_mainnet=False), identity, FixedClock(off))


@pytest.fixture(scope="module")
def embedded_oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The ready line of a process that serves the whole module."""
    directory = tmp_path_factory.mktemp("oracle")
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator.embedded.oracle", "--data-dir", str(directory), "--exit-with-parent"],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(params=["embedded", "mock"])
async def oracle(request: pytest.FixtureRequest) -> AsyncIterator[OracleUnderTest]:
    identity = SecretKey.generate()
    if request.param == "embedded":
        entered = _embedded(identity, request.getfixturevalue("embedded_oracle"))
    else:
        entered = _mock(identity)
    async with entered as (url, controls):
        client = make_client(url, identity)
        under_test = OracleUnderTest(url, identity, client, *controls, [client], next(_runs))
        await under_test.set_time(ORACLE_NOW)
        yield under_test
        for each in under_test.clients:
            await each.close()


@asynccontextmanager
async def _mock(identity: SecretKey) -> AsyncIterator[tuple[str, tuple[Any, ...]]]:
    async with MockOracle("contract") as mock:
        mock.allow(identity.x_only)

        async def set_time(seconds: int) -> None:
            mock.clock.set(seconds)

        async def queue(event_id: UUID, winners: tuple[int, ...]) -> None:
            mock.queue_attestation(event_id, Outcome(winners))

        async def fail_next_write(fault: WriteFault) -> None:
            mock.faults.set(fault, 1)

        yield mock.url, (set_time, queue, fail_next_write)


@asynccontextmanager
async def _embedded(identity: SecretKey, ready: dict[str, str]) -> AsyncIterator[tuple[str, tuple[Any, ...]]]:
    async with httpx.AsyncClient(base_url=ready["control"]) as control:

        async def post(path: str, body: dict[str, Any]) -> None:
            (await control.post(path, json=body)).raise_for_status()

        async def set_time(seconds: int) -> None:
            await post("/clock", {"now": seconds})

        async def queue(event_id: UUID, winners: tuple[int, ...]) -> None:
            await _script_winners(control, ready["url"], event_id, winners)

        async def fail_next_write(fault: WriteFault) -> None:
            await post("/faults", {"fault": fault.value})

        await post("/allow", {"pubkey": identity.x_only.hex()})
        yield ready["url"], (set_time, queue, fail_next_write)
        await post("/faults", {"fault": "none", "count": 0})


async def _script_winners(control: httpx.AsyncClient, url: str, event_id: UUID, winners: tuple[int, ...]) -> None:
    """Weather in which the picks of the suite's entries rank as wanted: entry i picks Over at its own station i."""
    async with httpx.AsyncClient(base_url=url) as public:
        event = (await public.get(f"/oracle/events/{event_id}")).json()
    moment = event["start_observation_date"]
    everyone = len(winners) == len(event["entries"])
    observations = []
    for index, station in enumerate(event["locations"]):
        right = not everyone and index in winners
        observations.append(
            {"station_id": station, "metric": "temp_high", "time": moment, "value": 200 if right else -200}
        )
    (await control.post("/observations", json={"observations": observations})).raise_for_status()
