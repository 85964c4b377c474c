"""`./dev soak --hours H`: competitions one generation after another, nothing killed, nothing faulty; what grows?

Resident memory, open files, threads and the journal of the coordinator's process are sampled all the while. At the end
the same books are read as after `./dev chaos`. Ends with 1 if something grew, or if a rule was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coordinator.embedded.node.address import address_to_script
from coordinator_core.errors import CoreError
from tests.harness.chaos import COIN, COINS, LARGEST_WAVE
from tests.harness.growth import Growth, Sample
from tests.harness.progress import Progress, Stuck
from tests.harness.verdict import Evidence, Row, judge
from tests.harness.wave import Wave
from tests.harness.world import ChaosWorld

SAMPLE_SECONDS: Final = 10.0
TELL_EVERY: Final = 6
"""Samples between two lines."""


async def run(hours: float, seed: str, directory: Path) -> tuple[Growth, list[Row], int]:
    """Waves until the time is over: what was sampled, the verdict, and how many competitions ended."""
    growth, waves = Growth(), list[Wave]()
    async with ChaosWorld(directory, seed, 0.0, Progress(kills=0), full_caches=True) as world:
        evidence = await _prepare(world, waves)
        sampler = asyncio.create_task(_sample(world, growth, waves))
        stuck = ""
        try:
            await _play(world, waves, seed, time.monotonic() + 3_600 * hours)
        except (Stuck, CoreError) as error:
            # What was found until then is judged all the same.
            stuck = f"{type(error).__name__}: {error}"
        finally:
            sampler.cancel()
            await asyncio.gather(sampler, return_exceptions=True)
            for wave in waves:
                await wave.close()
        rows = await judge(evidence, stuck)
    return growth, rows, sum(len(wave.contests) for wave in waves)


async def _prepare(world: ChaosWorld, waves: list[Wave]) -> Evidence:
    address = (await world.insist(lambda: world.services.operator("POST", "/wallet/address")))["address"]
    height = await world.chain.height()
    for _ in range(COINS):
        await world.services.rpc("faucet", address, COIN)
    await world.chain.mine()
    ledger = await world.services.ledger()
    return Evidence(world, waves, address_to_script(address), COINS * COIN, ledger, height)


async def _play(world: ChaosWorld, waves: list[Wave], seed: str, end: float) -> None:
    while time.monotonic() < end:
        number = len(waves) + 1
        wave = Wave(world, number, LARGEST_WAVE, random.Random(f"{seed}/wave/{number}"))
        waves.append(wave)
        await wave.run()
        # What players of ended competitions hold open is not the coordinator's.
        await wave.close()


async def _sample(world: ChaosWorld, growth: Growth, waves: list[Wave]) -> None:
    database = world.stack.directory / "coordinator" / "coordinator.db"
    number = 0
    while True:
        sample = _look(world.lives.pid, database)
        if sample is not None:
            growth.add(sample)
            if number % TELL_EVERY == 0:
                print(f"{growth.line}, {len(waves)} waves", file=sys.stderr, flush=True)
            number += 1
        await asyncio.sleep(SAMPLE_SECONDS)


def _look(pid: int | None, database: Path) -> Sample | None:
    try:
        return None if pid is None else Sample.of(pid, database, time.monotonic())
    except OSError:
        # The process has just ended, which nobody ordered: the verdict has a rule for that.
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and give 1 if something grew or a rule was broken."""
    parser = argparse.ArgumentParser(prog="./dev soak", description="What grows while competitions come and go?")
    parser.add_argument("--hours", type=float, default=1.0, metavar="H", help="how long (default 1)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="default: a fresh one, printed")
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        growth, rows, competitions = asyncio.run(run(given.hours, given.seed, Path(place)))
    print(f"{competitions} competitions ended")
    print("\n".join([*growth.table, "", *(row.line for row in rows)]))
    return int(bool(growth.wrong) or any(row.violations for row in rows))


if __name__ == "__main__":
    sys.exit(main())
