"""An engine's loops on a real database with services that answer at once: for benches and for tests of many lanes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain import facts as f
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Fact
from coordinator.engine import codec
from coordinator.engine.applier import Applier
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.duty import Again, Done, Executor, Outcome, Task
from coordinator.engine.executors.registry import executors
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.wakeups import Wakeups
from coordinator.engine.worker import Worker
from coordinator_core.units import Blocks, UnixTime
from tests.support import lanes as b
from tests.support.ports import Clock, DataChain

NEVER = 1e7
TERMS = b.terms_with()
PUBLISHED = f.Published(terms=TERMS.to_bytes().decode(), terms_hash=TERMS.hash.hex())
KINDS = tuple(executors(None, None))  # type: ignore[arg-type]


FACTS: Mapping[str, Callable[[Any], Sequence[Fact]]] = {
    "ln.read_holds": lambda duty: [b.holds_read(duty.attempt)],
    "oracle.check_planning": lambda _: [f.PlanningChecked()],
    "oracle.create_event": lambda _: [b.oracle_event()],
    "keymeld.open_session": lambda duty: [b.session(), *(b.seal(entry) for entry in duty.roster)],
    "keymeld.register": lambda duty: [b.registered(duty.entry_id)],
    "keymeld.await_roster": lambda _: [b.keygen()],
    "oracle.submit_entries": lambda _: [b.posted()],
    "contract.pin": lambda _: [b.pinned()],
    "keymeld.open_batches": lambda _: [b.batches(), *b.approvals()],
    "keymeld.approve": lambda duty: [f.Forwarded(attempt=1, entry_id=duty.entry_id, session_id=duty.session_id)],
    "keymeld.collect": lambda duty: [b.batch_signed(duty.index)],
    "contract.assemble": lambda _: [b.contract_signed()],
    "notify.player": lambda duty: [
        f.Notified(entry_id=duty.entry_id, topic=duty.topic, delivered=True, at=UnixTime(b.WALL))
    ],
}
"""What a service that works would have said, and what people would have done meanwhile."""


async def answer(task: Task[Any]) -> Outcome:
    """At once; a duty that waits for what does not happen waits for ever."""
    facts = FACTS.get(task.duty.kind())
    return Again(NEVER) if facts is None else Done(facts(task.duty))


ANSWERS: Mapping[str, Executor] = dict.fromkeys(KINDS, answer)


async def wait(task: Task[Any]) -> Outcome:
    """Nothing comes of it."""
    return Again(NEVER)


SILENCE: Mapping[str, Executor] = dict.fromkeys(KINDS, wait)
STEPS: Sequence[Sequence[Fact]] = (
    [b.holds_read(0)],
    [f.PlanningChecked()],
    [b.oracle_event()],
    [b.session(), *map(b.seal, b.ROSTER), *map(b.registered, b.ROSTER), b.keygen()],
    [b.posted(), b.pinned()],
    [b.batches(), *b.approvals(), b.batch_signed(0), b.batch_signed(1), b.contract_signed()],
)
"""What takes a lane from AwaitingEscrow to FundingReady, each with one transition."""


@dataclass
class Bench:
    """A database with lanes, and the clocks of the loops that work on it."""

    store: SqliteStore
    path: Path
    clock: Clock = field(default_factory=lambda: Clock(b.WALL))
    wakeups: Wakeups = field(default_factory=Wakeups)
    clockwork: Clockwork = field(init=False)

    def __post_init__(self) -> None:
        self.clockwork = Clockwork(self.clock, self.store, chain_time=True, cancel_delta=Blocks(18))

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncGenerator[Bench]:
        """With a chain of one block."""
        store = await SqliteStore.open(path)
        try:
            async with store.write() as tx:
                await tx.add_block(DataChain().blocks[0])
            yield cls(store, path)
        finally:
            await store.close()

    async def lanes(self, names: Iterable[str], state: Competition, *facts: Fact) -> None:
        """Lanes in this state, with seats that are paid."""
        for name in names:
            async with self.store.write() as tx:
                await tx.create_lane(name, codec.encode_state(state), codec.tag(state), self.clock.now())
                await tx.put_facts(name, [PUBLISHED, *b.seats(), *facts], "made", self.clock.now())
                await tx.notify(name, 4, "made", name, "made", self.clock.now())

    async def put(self, lane: str, facts: Sequence[Fact], key: str, prio: int = 0) -> None:
        """As a source does it: facts and one inbox row in one transaction."""
        async with self.store.write() as tx:
            await tx.put_facts(lane, facts, "source", self.clock.now())
            await tx.notify(lane, prio, "source", key, "source", self.clock.now())
        self.wakeups.apply.set()

    def applier(self, observer: EngineObserver = UNOBSERVED) -> Applier:
        return Applier(self.store, self.clockwork, self.wakeups, observer)

    def worker(
        self, observer: EngineObserver = UNOBSERVED, answers: Mapping[str, Executor] = ANSWERS, **more: Any
    ) -> Worker:
        return Worker(self.store, self.clockwork, self.wakeups, answers, observer, **more)

    async def rows(self, query: str) -> list[Any]:
        async with self.store.read_connection() as connection:
            return list((await connection.exec_driver_sql(query)).all())

    async def number(self, query: str) -> int:
        return int((await self.rows(query))[0][0])


@asynccontextmanager
async def running(*loops: Any) -> AsyncGenerator[None]:
    """Loops that run for ever, until the end of the block. Raises what ends one of them."""
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
