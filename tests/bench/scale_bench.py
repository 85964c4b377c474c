"""How much memory 1,000 live competitions take, and how soon a coordinator with 10,000 open ones is ready again.

Half of them sell tickets that are held (every hold is looked up), half wait for the attestation (the oracle is asked).
They are copies of two that were really played up to there, on real services.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.bench.clones import multiply
from tests.e2e.application import TestApp
from tests.e2e.chain import ChainControl
from tests.e2e.mock_oracle import MockOracle
from tests.e2e.services import Services, start_stack
from tests.harness.growth import Sample

LIVE: Final = 1_000
OPEN: Final = 10_000
LARGEST_MEGABYTES: Final = 200.0
LONGEST_START_SECONDS: Final = 5.0
SETTLED_SECONDS: Final = 60.0
"""Of full work with all competitions, before memory is read."""
SAMPLE_SECONDS: Final = 2.0
ENTRIES: Final = 3


@asynccontextmanager
async def application(directory: Path) -> AsyncGenerator[TestApp]:
    """A coordinator with its services."""
    async with AsyncExitStack() as exits:
        stack = await asyncio.to_thread(start_stack, directory)
        exits.push_async_callback(asyncio.to_thread, stack.stop)
        services = Services(stack)
        exits.push_async_callback(services.close)
        chain = ChainControl(services)
        await chain.refresh()
        oracle = await exits.enter_async_context(MockOracle("scale", now=lambda: chain.time))
        app = TestApp(services, oracle, chain)
        exits.push_async_callback(app.close)
        await app.start_coordinator()
        await app.fund_operator()
        yield app


async def templates(app: TestApp) -> tuple[str, str]:
    """One competition that waits for its attestation, and one that sells tickets."""
    waiting = await app.create_competition(entries=ENTRIES)
    await app.sell_and_sign(waiting, ENTRIES)
    await app.confirm_funding(waiting)
    selling = await app.create_competition(entries=ENTRIES)
    await app.join_all(selling, ENTRIES - 1)
    return waiting.id, selling.id


async def measure(live: int, many: int) -> dict[str, Any]:
    """Both figures, on one set of services."""
    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        async with application(Path(place) / "stack") as app:
            names = await templates(app)
            small = await _grown(app, names, live - len(names))
            memory = await _memory(app)
            large = await _grown(app, names, many - live, first=live)
            busy = _processor_seconds(app)
            resident = _sample(app).resident_bytes
    return {
        "live": live,
        "megabytes": round(memory / 1e6, 1),
        "start_seconds_live": round(small, 2),
        "open": many,
        "start_seconds": round(large, 2),
        "start_processor_seconds": round(busy, 2),
        "megabytes_after_start": round(resident / 1e6, 1),
    }


async def _grown(app: TestApp, names: Sequence[str], count: int, *, first: int = 0) -> float:
    """Stop, add so many copies, start again: seconds until it is ready."""
    stack = app.services.stack
    code = await asyncio.to_thread(stack.children["coordinator"].stop)
    if code != 0:
        raise RuntimeError(f"the coordinator ended with {code}")
    database = app.coordinator_directory / "coordinator.db"
    for number, name in enumerate(names):
        multiply(database, name, (count + number) // len(names), first)
    began = time.perf_counter()
    await asyncio.to_thread(stack.start_coordinator, oracle_url=app.oracle.url)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        ready = f"{stack.url('coordinator')}/readyz"
        while (await client.get(ready)).status_code != 200:  # noqa: ASYNC110  (a process signals no event)
            await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def _memory(app: TestApp) -> int:
    """The most that was resident, in bytes, while every competition was worked on."""
    most, end = 0, time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < end:
        most = max(most, _sample(app).resident_bytes)
        await asyncio.sleep(SAMPLE_SECONDS)
    return most


def _sample(app: TestApp) -> Sample:
    process = app.services.stack.children["coordinator"].process
    return Sample.of(process.pid, app.coordinator_directory / "coordinator.db", time.monotonic())


def _processor_seconds(app: TestApp) -> float:
    """What the coordinator has used since it was started."""
    fields = Path(f"/proc/{app.services.stack.children['coordinator'].process.pid}/stat").read_text().rsplit(")", 1)[1]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def table(found: dict[str, Any]) -> str:
    """For people."""
    memory = "met" if found["megabytes"] <= LARGEST_MEGABYTES else "MISSED"
    start = "met" if found["start_seconds"] < LONGEST_START_SECONDS else "MISSED"
    return "\n".join(
        [
            f"memory with {found['live']} live competitions: {found['megabytes']} MB ({LARGEST_MEGABYTES:g} {memory})",
            f"restart with {found['open']} open competitions: {found['start_seconds']} s to ready"
            f" ({LONGEST_START_SECONDS:g} {start}; of the processor {found['start_processor_seconds']} s),"
            f" {found['megabytes_after_start']} MB then;"
            f" with {found['live']}: {found['start_seconds_live']} s",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table and a line of JSON; with --strict give 1 if a bound is missed."""
    parser = argparse.ArgumentParser(prog="./dev bench scale", description="Memory and restart with many competitions.")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a bound is missed")
    parser.add_argument("--live", type=int, default=LIVE, metavar="N")
    parser.add_argument("--open", type=int, default=OPEN, metavar="N")
    given = parser.parse_args(arguments)
    found = asyncio.run(measure(given.live, given.open))
    shown = table(found)
    print(shown)
    print(json.dumps(found))
    return int(given.strict and "MISSED" in shown)


if __name__ == "__main__":
    sys.exit(main())
