"""What thousands of idle competitions cost: timers, the auditor and the hourly sweep on the real store.

`python -m tests.bench.timers_bench [--repeat N] [--lanes N]` prints a table and one line of JSON. Costs are processor
time of the whole process; how late a timer fires is wall-clock time. Of the repetitions the median counts.

tick      one look at the clocks while nothing is due
burst     so many timers that are due at once: until each competition has its inbox row
late      how late timers fire that are due one after the other, among the idle ones
audit     one look of the auditor while all is well, and with one competition that nothing drives
sweep     one competition compared with what follows from its state and facts
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import structlog

from coordinator.domain.competitions.states import CollectingEntries
from coordinator.engine.auditor import Auditor
from coordinator.engine.sweep import Sweep
from coordinator.engine.timers import TimerLoop
from coordinator_core.units import UnixTime
from tests.bench.moments import percentile
from tests.support import lanes as b
from tests.support.engines import Bench

LANES: Final = 10_000
TICKS: Final = 200
DUE: Final = 60
SWEPT: Final = 500
LANE_TABLES: Final = ("state_row", "fact", "timer", "budget", "duty", "watch")
MOST: Final[Mapping[str, float]] = {"tick_cpu_ms": 5.0, "late_p99_s": 0.5, "audit_cpu_ms": 100.0}


class RealClock:
    """The machine's clock, moved so that the competitions of the bench are in their time."""

    def __init__(self) -> None:
        self._ahead = b.WALL - time.time()

    def now(self) -> UnixTime:
        """See ports.clock.WallClock."""
        return UnixTime(int(self.precise()))

    def precise(self) -> float:
        """See ports.clock.PreciseClock."""
        return time.time() + self._ahead


@asynccontextmanager
async def idle(count: int) -> AsyncGenerator[Bench]:
    """A database with competitions that sell tickets, as they were left; all but one are copies."""
    with tempfile.TemporaryDirectory(prefix="timers-") as place:
        async with Bench.open(Path(place) / "coordinator.db") as bench:
            bench.clockwork.wall_clock = RealClock()
            await bench.lanes(["lane"], CollectingEntries(terms_hash="h"))
            applier = bench.applier()
            while await applier.step():
                pass
            await _copies(bench, count - 1)
            yield bench


async def _copies(bench: Bench, count: int) -> None:
    names = [(f"lane-{number}",) for number in range(count)]
    async with bench.store.write_connection() as connection:
        await connection.exec_driver_sql("INSERT INTO lane (id, created_at, rev) VALUES (?, 0, 0)", names)
        for table in LANE_TABLES:
            info = await connection.exec_driver_sql(f"PRAGMA table_info({table})")
            columns = [row[1] for row in info]
            others = ", ".join(_copied(name) for name in columns)
            insert = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {others} FROM {table} WHERE lane = 'lane'"
            await connection.exec_driver_sql(insert, [name * insert.count("?") for name in names])


def _copied(column: str) -> str:
    if column == "lane":
        return "?"
    return "? || substr(id, 5)" if column == "id" else column


async def tick(bench: Bench) -> dict[str, float]:
    """Nothing is due."""
    timers = TimerLoop(bench.store, bench.clockwork, bench.wakeups)
    began = time.process_time()
    for _ in range(TICKS):
        if await timers.step():
            raise RuntimeError("something was due")
    return {"tick_cpu_ms": (time.process_time() - began) * 1e3 / TICKS}


async def burst(bench: Bench) -> dict[str, float]:
    """Everything is due."""
    async with bench.store.write_connection() as connection:
        await connection.exec_driver_sql("INSERT OR REPLACE INTO timer SELECT id, 'wall', 0 FROM lane")
    timers = TimerLoop(bench.store, bench.clockwork, bench.wakeups)
    began, longest = time.perf_counter(), 0.0
    while True:
        part = time.perf_counter()
        if not await timers.step():
            break
        longest = max(longest, time.perf_counter() - part)
    taken = time.perf_counter() - began
    async with bench.store.write_connection() as connection:
        await connection.exec_driver_sql("DELETE FROM inbox WHERE source = 'timer'")
    return {"burst_s": taken, "burst_longest_transaction_ms": longest * 1e3}


async def late(bench: Bench) -> dict[str, float]:
    """One timer each tenth of a second, at full seconds as all of them are; the loop as it runs."""
    clock: Any = bench.clockwork.wall_clock
    first = clock.now() + 2
    async with bench.store.write_connection() as connection:
        rows = [(f"lane-{number}", first + number // 10) for number in range(DUE)]
        await connection.exec_driver_sql("INSERT OR REPLACE INTO timer VALUES (?, 'wall', ?)", rows)
    due, fired = dict(rows), dict[str, float]()
    running = asyncio.create_task(TimerLoop(bench.store, bench.clockwork, bench.wakeups).run())
    try:
        while len(fired) < DUE:
            await bench.wakeups.apply.wait()
            bench.wakeups.apply.clear()
            now = clock.precise()
            for (lane,) in await bench.rows("SELECT lane FROM inbox WHERE source = 'timer'"):
                fired.setdefault(lane, now)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    lateness = [fired[lane] - moment for lane, moment in due.items()]
    return {"late_p99_s": percentile(lateness, 99), "late_p50_s": percentile(lateness, 50)}


async def audit(bench: Bench) -> dict[str, float]:
    """All is well; then one lost its timers."""
    auditor = Auditor(bench.store, bench.clockwork, bench.wakeups)
    began = time.process_time()
    await auditor.step()
    well = time.process_time() - began
    if auditor.findings:
        raise RuntimeError(f"{len(auditor.findings)} findings where there are none")
    async with bench.store.write_connection() as connection:
        await connection.exec_driver_sql("DELETE FROM timer WHERE lane = 'lane-7'")
        await connection.exec_driver_sql("DELETE FROM duty WHERE lane = 'lane-7'")
    began = time.process_time()
    await auditor.step()
    if [item.lane for item in auditor.findings] != ["lane-7"]:
        raise RuntimeError("the auditor did not find what nothing drives")
    return {"audit_cpu_ms": well * 1e3, "audit_one_found_cpu_ms": (time.process_time() - began) * 1e3}


async def sweep(_: Bench) -> dict[str, float]:
    """A smaller database: each competition costs the same."""
    async with idle(SWEPT) as bench:
        inspector = Sweep(bench.store, bench.clockwork, bench.wakeups)
        began = time.process_time()
        await inspector.step()
        if inspector.findings:
            raise RuntimeError(f"{inspector.findings[0].reason}")
        return {"sweep_cpu_ms_each": (time.process_time() - began) * 1e3 / SWEPT}


async def measure(lanes: int) -> dict[str, float]:
    """Every figure once, on one database."""
    found: dict[str, float] = {}
    async with idle(lanes) as bench:
        for figure in (tick, audit, late, burst, sweep):
            print(f"measuring {figure.__name__}", file=sys.stderr)
            found |= await figure(bench)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --strict give 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="./dev bench timers", description="What idle competitions cost.")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements (default 3)")
    parser.add_argument("--lanes", type=int, default=LANES, metavar="N", help=f"idle competitions (default {LANES})")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a target is missed")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows = [asyncio.run(measure(options.lanes)) for _ in range(options.repeat)]
    found = {key: round(median(row[key] for row in rows), 3) for key in rows[0]}
    missed = [name for name, most in MOST.items() if found[name] > most]
    for name, value in found.items():
        target = f"  at most {MOST[name]:g}" if name in MOST else ""
        print(f"{name:<32}{value:>12}{target}{'  MISSED' if name in missed else ''}")
    print(json.dumps({"timers": found, "lanes": options.lanes, "missed": missed}))
    return int(bool(missed) and options.strict)


if __name__ == "__main__":
    sys.exit(main())
