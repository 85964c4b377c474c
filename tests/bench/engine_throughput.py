"""G6: transitions a second through the real store, of news that is there, and of whole closings with their duties."""

from __future__ import annotations

import time

from tests.bench.moments import LANES, Moments, Reached, Row, bench, names
from tests.support import lanes as b
from tests.support.engines import STEPS, running

TRANSITIONS = "SELECT count(*) FROM transition"


async def throughput() -> Row:
    """A second. A closing is six transitions, and some twenty duties that lead to them."""
    return {"transitions_a_second": await _news(), **await _closings()}


async def _news() -> float:
    spent = 0.0
    async with bench() as house:
        await house.lanes(names(LANES), b.awaiting_escrow())
        applier = house.applier()
        for number, facts in enumerate(STEPS):
            for lane in names(LANES):
                await house.put(lane, facts, f"{lane}/{number}")
            began = time.perf_counter()
            while await applier.step():
                pass
            spent += time.perf_counter() - began
        return await house.number(TRANSITIONS) / spent


async def _closings() -> Row:
    async with bench() as house:
        await house.lanes(names(LANES), b.awaiting_escrow())
        left = set(names(LANES))
        moments: Moments = Reached("funding_ready", left)
        began = time.perf_counter()
        async with running(house.applier(moments), house.worker(moments)):
            await moments.until(lambda: not left)
        spent = time.perf_counter() - began
        return {
            "closing_transitions_a_second": await house.number(TRANSITIONS) / spent,
            "closing_attempts_a_second": await house.number("SELECT sum(attempts) FROM duty") / spent,
        }
