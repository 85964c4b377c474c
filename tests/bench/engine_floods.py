"""G7 and the start of a settle: what a flood of one class does to the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.moments import EVENTS_A_SECOND, LANES, Moments, Row, bench, names, note, percentile
from tests.support import lanes as b
from tests.support.engines import Bench, running

PROBES: Final = 20
SETTLES: Final = 4_000
NOTICES: Final = 5_000
TIMED_SETTLES: Final = 40
MADE: Final = 50
"""Lanes that duties are put into by hand. They are stopped, so nobody asks their competition whether it wants them."""
SETTLE, NOTICE, INVOICE = "ln.settle", "notify.player", "ln.create_invoice"
CHANNEL: Final = {SETTLE: "lightning", NOTICE: "notify", INVOICE: "lightning"}
BODY: Final = {
    SETTLE: '{{"kind":"ln.settle","entry_id":"e","payment_hash":"{n}"}}',
    NOTICE: '{{"kind":"notify.player","entry_id":"e","topic":"{n}"}}',
    INVOICE: '{{"kind":"ln.create_invoice","entry_id":"e","generation":1,"payment_hash":"{n}"}}',
}
Wanted = dict[str, tuple[str, str, bytes]]


async def starvation() -> Row:
    """Seconds that the lowest class waits while the highest has more than can be done."""
    return {"lowest_news_wait_s": await _news_wait(), "lowest_duty_wait_s": await _duty_wait()}


async def money() -> Row:
    """Milliseconds from the commit of a settle to its start while 5,000 messages are due."""
    moments, took = Moments(), list[float]()
    async with bench() as house:
        await _stopped(house)
        wanted = await _open(house, NOTICE, NOTICES)
        async with running(house.worker(moments)):
            await moments.until(lambda: bool(moments.claimed_at))
            for number in range(TIMED_SETTLES):
                await asyncio.sleep(1 / EVENTS_A_SECOND)
                lane = f"lane-{number % MADE}"
                [(name, row)] = _of(lane, SETTLE, [number]).items()
                wanted[lane] |= {name: row}
                await _want(house, {lane: wanted[lane]})
                house.wakeups.duties.set()
                committed = time.perf_counter()
                await moments.until(lambda name=name: name in moments.claimed_at)
                took.append((moments.claimed_at[name] - committed) * 1e3)
    return {"money_start_p50_ms": percentile(took, 50), "money_start_p99_ms": percentile(took, 99)}


async def _news_wait() -> float:
    moments, waits = Moments(), list[float]()
    async with bench() as house:
        lane, *others = names(4 * LANES)
        await house.lanes([lane, *others], b.event_created())
        async with running(house.applier(moments)):
            flood = asyncio.create_task(_flood(house, others))
            for turn in range(PROBES):
                moments.applied_at.pop(lane, None)
                began = time.perf_counter()
                await house.put(lane, [note(turn)], f"low/{turn}", prio=6)
                await moments.until(lambda: lane in moments.applied_at)
                waits.append(time.perf_counter() - began)
            flood.cancel()
            await asyncio.gather(flood, return_exceptions=True)
    return max(waits)


async def _flood(house: Bench, lanes: Sequence[str]) -> None:
    """News of the highest class as fast as it can be written, a few lanes in a transaction as sources have it. The
    queue is never empty and never longer than the lanes are many.
    """
    turn = 0
    while True:
        async with house.store.write() as tx:
            for _ in range(8):
                turn += 1
                await tx.notify(lanes[turn % len(lanes)], 0, "flood", f"{turn}", "flood", house.clock.now())
        await asyncio.sleep(0)


async def _duty_wait() -> float:
    moments = Moments()
    async with bench() as house:
        await _stopped(house)
        wanted = await _open(house, SETTLE, SETTLES)
        for lane in names(MADE):
            wanted[lane] |= _of(lane, INVOICE, [0])
        await _want(house, wanted)
        began = time.perf_counter()
        async with running(house.worker(moments)):
            await moments.until(lambda: any(INVOICE in name for name in moments.claimed_at))
        return time.perf_counter() - began


async def _stopped(house: Bench) -> None:
    await house.lanes(names(MADE), b.funding_broadcasted())
    async with house.store.write() as tx:
        for lane in names(MADE):
            await tx.quarantine(lane, "bench", house.clock.now())


def _of(lane: str, kind: str, numbers: Sequence[int]) -> Wanted:
    return {f"{lane}/{kind}/{n}": (CHANNEL[kind], kind, BODY[kind].format(n=n).encode()) for n in numbers}


async def _open(house: Bench, kind: str, count: int) -> dict[str, Wanted]:
    """So many, spread over the lanes."""
    wanted = {lane: _of(lane, kind, range(number, count, MADE)) for number, lane in enumerate(names(MADE))}
    await _want(house, wanted)
    return wanted


async def _want(house: Bench, wanted: Mapping[str, Wanted]) -> None:
    async with house.store.write() as tx:
        for lane, duties in wanted.items():
            await tx.want_duties(lane, duties, house.clock.precise(), duties)
