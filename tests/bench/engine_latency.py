"""G5: from the inbox to what is applied, and from the commit that opens a duty to its start, at 20 events a second:
without other load, and (inbox, without a target) while sixty competitions close at once.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from coordinator.engine.slots import DEFAULT_LIMITS
from tests.bench.moments import LANES, Moments, Reached, Row, bench, names, note, one_fsync, pace, percentile
from tests.support import lanes as b
from tests.support.engines import SILENCE, running

TURNS: Final = 5 * LANES
STARTS: Final = 3 * LANES


async def latency() -> Row:
    """Milliseconds, beside those of one fsync on the same file system."""
    inbox, fsync = await _inbox(busy=False)
    busy, _ = await _inbox(busy=True)
    start = await _starts()
    slow = percentile(fsync, 99)
    return {
        "inbox_p50_ms": percentile(inbox, 50),
        "inbox_p99_ms": percentile(inbox, 99),
        "busy_inbox_p50_ms": percentile(busy, 50),
        "busy_inbox_p99_ms": percentile(busy, 99),
        "start_p50_ms": percentile(start, 50),
        "start_p99_ms": percentile(start, 99),
        "fsync_p50_ms": percentile(fsync, 50),
        "fsync_p99_ms": slow,
        "inbox_p99_over_fsync_ms": percentile(inbox, 99) - slow,
        "start_p99_over_fsync_ms": percentile(start, 99) - slow,
    }


async def _inbox(*, busy: bool) -> tuple[list[float], list[float]]:
    """Milliseconds for each event, and for an fsync after it. Busy: while every competition goes through its closing,
    which takes all that one core has; else each has done so and waits.
    """
    left = set(names(LANES))
    moments, took, fsync = Reached("funding_ready", left), list[float](), list[float]()
    async with bench() as house:
        await house.lanes(names(LANES), b.event_created())
        applier = house.applier(moments)
        while await applier.step():
            pass
        with (house.path.parent / "disk").open("wb", buffering=0) as disk:
            async with running(applier, house.worker(moments)):
                await moments.until(lambda: len(moments.claimed_at) >= LANES if busy else not left)
                began = time.perf_counter()
                for turn in range(TURNS):
                    await pace(began, turn)
                    lane = f"lane-{turn % LANES}"
                    moments.applied_at.pop(lane, None)
                    await house.put(lane, [note(turn)], f"{turn}", prio=3)
                    committed = time.perf_counter()
                    await moments.until(lambda lane=lane: lane in moments.applied_at)
                    took.append((moments.applied_at[lane] - committed) * 1e3)
                    fsync.append(await asyncio.to_thread(one_fsync, disk))
    return took, fsync


async def _starts() -> list[float]:
    moments, took = Moments(), list[float]()
    async with bench() as house:
        await house.lanes(names(STARTS), b.awaiting_escrow())
        async with house.store.write_connection() as connection:
            # Their first news waits for their turn.
            await connection.exec_driver_sql("UPDATE inbox SET status = 1")
        # An answer would bring some twenty duties more: the rate is that of the events alone.
        worker = house.worker(moments, SILENCE, limits=dict.fromkeys(DEFAULT_LIMITS, 256))
        async with running(house.applier(moments), worker):
            began = time.perf_counter()
            for turn, lane in enumerate(names(STARTS)):
                await pace(began, turn)
                await house.put(lane, [note(0)], lane, prio=3)
                duty = f"{lane}/ln.read_holds/0"
                await moments.until(lambda duty=duty: duty in moments.claimed_at)
                took.append(max(0.0, moments.claimed_at[duty] - moments.first_applied_at[lane]) * 1e3)
    return took
