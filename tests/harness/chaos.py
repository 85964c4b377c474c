"""`./dev chaos`: the coordinator killed again and again, its services faulty; then the outside world is asked whether
anything was lost or done twice.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from coordinator.embedded.node.address import address_to_script
from coordinator_core.errors import CoreError
from tests.harness.lives import SHARES, TERMINATION_SHARES, Counts
from tests.harness.progress import Progress, Stuck
from tests.harness.recording import Recording
from tests.harness.verdict import Evidence, Row, judge
from tests.harness.wave import PRESSED, Wave
from tests.harness.world import SERVICES, ChaosWorld

COIN: Final = 3_000_000
COINS: Final = 16
"""Of the operator's: each competition of a wave spends one, its change comes back with the next block."""
LARGEST_WAVE: Final = 6
EXTRA_WAVE: Final = 2
"""When competitions were enough and kills were not."""
STEPS: Final = 28
"""Of a competition and its players together, about."""
WAVES: Final = 200
TELL_SECONDS: Final = 10.0
OUTAGE_SECONDS: Final = 30.0
OUTAGE_AFTER: Final = (2.0, 60.0)
STALE: Final = "stale completion rejected"
"""What the engine logs of it."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run."""

    seed: str
    kills: int = 100
    faults: float = 15.0
    competitions: int = 16
    terms: int = 0
    """Above 0: so many SIGTERMs, and no kill."""

    @property
    def ends(self) -> int:
        """Lives that are to end by order."""
        return self.terms or self.kills

    @property
    def command(self) -> str:
        """What runs it again: the same faults by call, the same lives, the same competitions."""
        how = f"--terms {self.terms}" if self.terms else f"--kills {self.kills}"
        return f"./dev chaos --seed {self.seed} {how} --faults {self.faults:g} --competitions {self.competitions}"


@dataclass(slots=True)
class Report:
    """What a run found."""

    options: Options
    rows: list[Row] = field(default_factory=list[Row])
    figures: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def failed(self) -> bool:
        """True when a rule was broken."""
        return any(row.violations for row in self.rows)

    def text(self) -> str:
        """The verdict table."""
        lines = [f"{name:<28} {value}" for name, value in self.figures.items()]
        lines.append("")
        lines += [row.line for row in self.rows]
        verdict = "VIOLATED" if self.failed else "all rules hold"
        return "\n".join([*lines, "", f"{verdict}; again: {self.options.command}"])


async def run(options: Options, directory: Path) -> Report:
    """One run under a directory."""
    progress = Progress(options.ends, STEPS * options.competitions)
    shares = TERMINATION_SHARES if options.terms else SHARES
    began = time.monotonic()
    waves: list[Wave] = []
    async with ChaosWorld(directory, options.seed, options.faults, progress, shares) as world, _telling(world):
        address = (await world.insist(lambda: world.services.operator("POST", "/wallet/address")))["address"]
        height = await world.chain.height()
        for _ in range(COINS):
            await world.services.rpc("faucet", address, COIN)
        await world.chain.mine()
        ledger = await world.services.ledger()
        evidence = Evidence(world, waves, address_to_script(address), COINS * COIN, ledger, height)
        stuck = ""
        enough = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, enough.set)
        try:
            await _play(options, world, waves, enough)
        except (Stuck, CoreError) as error:
            # A player that gives up found something wrong; the books are read all the same.
            stuck = f"{type(error).__name__}: {error}"
        finally:
            for wave in waves:
                await wave.close()
        rows = await judge(evidence, stuck)
        return Report(options, rows, _figures(options, world, waves, time.monotonic() - began))


@asynccontextmanager
async def _telling(world: ChaosWorld) -> AsyncGenerator[None]:
    """A line on stderr every now and then: how far it is, and by what kills."""

    async def tell() -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(TELL_SECONDS)
            counts, progress = world.lives.counts, world.progress
            states = Counter(shown.partition("/")[0] for shown in progress.seen.values() if "/" in shown)
            print(
                f"{time.monotonic() - began:4.0f} s: {counts.kills} kills at {len(counts.places)} places,"
                f" {len(counts.terminations)} SIGTERMs, {counts.not_started} starts given up, {dict(states)}",
                file=sys.stderr,
                flush=True,
            )

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _play(options: Options, world: ChaosWorld, waves: list[Wave], enough: asyncio.Event) -> None:
    """Waves until there were enough competitions and kills, or SIGUSR1 said that these are enough."""
    left, progress = options.competitions, world.progress
    for number in range(1, WAVES + 1):
        if enough.is_set() or (left <= 0 and progress.killed >= options.ends):
            return
        size = min(LARGEST_WAVE, left) if left > 0 else EXTRA_WAVE
        left -= size
        wave = Wave(world, number, size, random.Random(f"{options.seed}/wave/{number}"))
        waves.append(wave)
        outage = asyncio.create_task(_outage(world, number, random.Random(f"{options.seed}/outage/{number}")))
        try:
            await wave.run()
        finally:
            outage.cancel()
            await asyncio.gather(outage, return_exceptions=True)
        print(f"wave {number}: {size} competitions ended, {progress.killed} kills", file=sys.stderr, flush=True)


async def _outage(world: ChaosWorld, number: int, rng: random.Random) -> None:
    """From the second wave on one service after another is away for a while, at any moment of the wave."""
    if number == 1 or not world.has_faults:
        return
    name = SERVICES[number % len(SERVICES)]
    await asyncio.sleep(rng.uniform(*OUTAGE_AFTER))
    print(f"wave {number}: {name} is away for {OUTAGE_SECONDS:g} s", file=sys.stderr, flush=True)
    world.outages += 1
    world.part(name, OUTAGE_SECONDS)


def _figures(options: Options, world: ChaosWorld, waves: list[Wave], seconds: float) -> dict[str, object]:
    counts = world.lives.counts
    faults = Counter[str]()
    for source in world.faults.values():
        faults.update(source.drawn)
    calls = sum(source.calls for source in world.faults.values())
    recording = Recording.read(world.lives.recording)
    return {
        "seed": options.seed,
        "seconds": round(seconds),
        "competitions": sum(len(wave.contests) for wave in waves),
        "kills": f"{counts.kills} ({', '.join(f'{n} {plan}' for plan, n in counts.by_plan.most_common())})",
        "places": f"{len(counts.places)} different",
        "freezes beyond a lease": counts.freezes,
        "starts given up": counts.not_started,
        "SIGTERM": _terminations(counts),
        "duties under SIGTERM": f"{recording.done()} attempts written down, {recording.cut_off()} cut off",
        "calls": calls,
        "faults": f"{sum(faults.values())} ({', '.join(f'{n} {kind}' for kind, n in faults.most_common())})",
        "outages of 30 s": world.outages,
        "payout requests at once": f"{sum(wave.pressed for wave in waves)}, {PRESSED} of each winner",
        "late completions rejected": _mentions(world.directory / "coordinator.log", STALE),
        "effects seen": len(world.ledger.effects),
    }


def _mentions(log: Path, event: str) -> int:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return sum(event in line for line in lines)


def _terminations(counts: Counts) -> str:
    ends = sorted(one.seconds for one in counts.terminations)
    if not ends:
        return "0"
    late = ends[min(len(ends) - 1, int(0.99 * len(ends)))]
    codes = Counter(one.code for one in counts.terminations)
    early = sum(not one.was_ready for one in counts.terminations)
    leases = sum(one.leases for one in counts.terminations)
    exits = ", ".join(f"{n} with {code}" for code, n in codes.most_common())
    times = f"median {ends[len(ends) // 2]:.2f} s, p99 {late:.2f} s, longest {ends[-1]:.2f} s"
    return f"{len(ends)} ({early} while it started): {exits}; {times}; {leases} leases left"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and give 1 if a rule was broken."""
    options, directory = _options(arguments)
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    if directory is not None:
        directory.mkdir(parents=True)
        report = asyncio.run(run(options, directory))
    else:
        with tempfile.TemporaryDirectory(prefix="chaos-") as place:
            report = asyncio.run(run(options, Path(place)))
    print(report.text())
    return int(report.failed)


def _options(arguments: Sequence[str] | None) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="./dev chaos", description="Kills and faults; verdict by the outside world.")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="default: a fresh one, printed")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="SIGKILLs at least (default 100)")
    parser.add_argument("--terms", type=int, default=0, metavar="N", help="SIGTERMs at least, instead of kills")
    faults = "share of faulty calls (default 15, with --terms 0)"
    parser.add_argument("--faults", type=float, metavar="PCT", help=faults)
    parser.add_argument("--competitions", type=int, default=16, metavar="N", help="at least so many (default 16)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave databases and logs in a new directory")
    given = parser.parse_args(arguments)
    share = given.faults if given.faults is not None else 0.0 if given.terms else 15.0
    return Options(given.seed, given.kills, share, given.competitions, given.terms), given.keep


if __name__ == "__main__":
    sys.exit(main())
