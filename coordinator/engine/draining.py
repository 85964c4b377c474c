"""The end of an engine, in an order that leaves nothing to be found out again (spec of the engine, section 3.9).

Correctness does not hang on it: a process that is killed repeats nothing and forgets nothing. It saves the next one
from asking outside what became of each duty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from coordinator.engine.components import Child
from coordinator.engine.supervisor import Supervisor
from coordinator.engine.wakeups import Wakeups, wait
from coordinator.engine.worker import Worker
from coordinator.ports.store import InboxClass, Store
from coordinator_core.units import UnixTime

DRAIN_SECONDS: Final = 12.0
SOURCES: Final = tuple(child for child in Child if child not in (Child.APPLY, Child.DUTIES))
"""Everything that brings news or only looks."""
SOURCES_SECONDS: Final = 2.0
"""What a source may take to end: one that ignores its cancellation must not take the time of the duties."""
LAST_SECONDS: Final = 1.0
"""Of the whole, for duties that are cut off, and again for the apply loop."""
LOOK_SECONDS: Final = 0.05

log = structlog.get_logger()


async def drain(
    supervisor: Supervisor,
    worker: Worker,
    store: Store,
    wakeups: Wakeups,
    *,
    wall: Callable[[], UnixTime],
    clock: Callable[[], float],
    seconds: float,
) -> bool:
    """Sources stop, nothing more is claimed, duties under way end and their results are applied, leases are given back.

    All within `seconds` of `clock` (if that is less than four: within four), even of loops that ignore their
    cancellation; what is not done then is cut off. True when nothing was. Whatever it raises, the loops are stopped.
    """
    deadline = clock() + seconds - LAST_SECONDS
    try:
        await supervisor.stop(SOURCES, SOURCES_SECONDS)
        worker.finish()
        ended = await supervisor.ended(Child.DUTIES, deadline - LAST_SECONDS - clock(), LAST_SECONDS)
        while (waiting := await _results(store, wall())) and clock() < deadline:
            await wait(wakeups.duties, LOOK_SECONDS)
    finally:
        await supervisor.stop(tuple(Child), LAST_SECONDS)
    released = await worker.release()
    log.info("engine stopped", duties_ended=ended, results_waiting=waiting, leases_released=released)
    return ended and not waiting


async def _results(store: Store, now: UnixTime) -> int:
    """Results of duties that the apply loop, which still runs, has before it."""
    return (await store.progress(float(now))).inbox.get(InboxClass.RESULT, 0)
