"""The engine's inbox and duties on the real store with synchronous=FULL, real lanes and facts. Services answer at once.

`python -m tests.bench.engine_bench [--repeat N] [FIGURE ...]` prints a table and one line of JSON. Times are those of
the wall clock: they mean something on a machine that does nothing else. Of the repetitions the median counts.

latency      inbox to applied, and commit of a duty to its start, at 20 events a second; beside the p99 of one fsync
throughput   transitions a second: of news that is there, and of whole closings with their duties
starvation   how long the lowest class waits while the highest one has more than can be done
money        how long a settle waits while 5,000 messages are due
zombies      late completions of a worker that slept through its leases: all of them are rejected
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import structlog

from tests.bench.engine_floods import money, starvation
from tests.bench.engine_latency import latency
from tests.bench.engine_throughput import throughput
from tests.bench.moments import Row
from tests.support.zombies import late_completions

LATE: Final = 1_000
MOST: Final[Mapping[str, float]] = {
    "inbox_p99_over_fsync_ms": 10.0,
    "start_p99_over_fsync_ms": 10.0,
    "lowest_news_wait_s": 2.0,
    "lowest_duty_wait_s": 2.0,
    "money_start_p99_ms": 100.0,
    "late_facts": 0,
}
LEAST: Final[Mapping[str, float]] = {"transitions_a_second": 500.0, "late_rejected": LATE}


async def zombies() -> Row:
    """How many completions came late, and what became of them."""
    with tempfile.TemporaryDirectory(prefix="engine-") as place:
        late = await late_completions(Path(place) / "coordinator.db", LATE)
    return {"late_completions": late.completions, "late_rejected": late.rejected, "late_facts": late.facts}


FIGURES: Final[Mapping[str, Callable[[], Awaitable[Row]]]] = {
    "latency": latency,
    "throughput": throughput,
    "starvation": starvation,
    "money": money,
    "zombies": zombies,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --strict give 1 if a target is missed."""
    options = _options(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found: dict[str, float] = {}
    for name in options.figures or FIGURES:
        found |= asyncio.run(_measure(name, 1 if name == "zombies" else options.repeat))
    missed = [name for name, value in found.items() if not LEAST.get(name, value) <= value <= MOST.get(name, value)]
    print("\n".join(_line(name, value, missed) for name, value in found.items()))
    print(json.dumps({"engine": found, "missed": missed}))
    return int(bool(missed) and options.strict)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench engine", description="Inbox and duties of the engine.")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements of each figure (default 3)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a target is missed")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", choices=[*FIGURES, []], help=f"of {', '.join(FIGURES)}")
    return parser.parse_args(arguments)


async def _measure(name: str, repeat: int) -> Row:
    print(f"measuring {name}", file=sys.stderr)
    rows = [await FIGURES[name]() for _ in range(repeat)]
    return {key: round(median(row[key] for row in rows), 3) for key in rows[0]}


def _line(name: str, value: float, missed: Sequence[str]) -> str:
    target = f"  at most {MOST[name]:g}" if name in MOST else f"  at least {LEAST[name]:g}" if name in LEAST else ""
    return f"{name:<32}{value:>12}{target}{'  MISSED' if name in missed else ''}"


if __name__ == "__main__":
    sys.exit(main())
