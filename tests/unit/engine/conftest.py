"""An engine's parts on the real store of each test."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import Duty
from coordinator.domain.facts import Fact, Published
from coordinator.engine import codec
from coordinator.engine.applier import Applier
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.duty import Task
from coordinator.engine.executors.services import Services
from coordinator.engine.wakeups import Wakeups
from coordinator_core.competition.terms import Terms
from coordinator_core.units import Blocks
from tests.support import lanes as b
from tests.support.attempt import Attempt, Prepared
from tests.support.keymeld_book import BookKeymeld
from tests.support.lanes import Story
from tests.support.ports import Clock, DataChain, LedgerLightning, MemorySecrets
from tests.support.scene import BookOracle, BookWallet


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


@dataclass
class House:
    """Store, clocks, chain and wake-ups of one engine, and shorthands to put lanes into it."""

    store: SqliteStore
    chain: DataChain
    clock: Clock
    clockwork: Clockwork
    wakeups: Wakeups = field(default_factory=Wakeups)

    @property
    def applier(self) -> Applier:
        return Applier(self.store, self.clockwork, self.wakeups)

    async def lane(
        self, state: Competition, *facts: Fact, name: str = b.LANE, terms: Terms | None = None, wake: bool = False
    ) -> str:
        """A lane in this state, with published terms."""
        terms = terms or b.terms_with()
        published = Published(terms=terms.to_bytes().decode(), terms_hash=terms.hash.hex())
        async with self.store.write() as tx:
            await tx.create_lane(name, codec.encode_state(state), codec.tag(state), self.clock.now())
            await tx.put_facts(name, [published, *facts], "test", self.clock.now())
            if wake:
                await tx.notify(name, 4, "test", f"made/{name}", "made", self.clock.now())
        return name

    async def put(self, lane: str, *facts: Fact) -> None:
        async with self.store.write() as tx:
            await tx.put_facts(lane, facts, "test", self.clock.now())

    async def apply(self, lane: str, key: str = "") -> Competition:
        """Wake a lane and apply until nothing is left to do."""
        async with self.store.write() as tx:
            await tx.notify(lane, 4, "test", key or uuid.uuid4().hex, "test", 0)  # type: ignore[arg-type]
        applier = self.applier
        while await applier.step():
            pass
        return await self.state(lane)

    async def state(self, lane: str) -> Competition:
        record = await self.store.lane(lane)
        assert record is not None
        return codec.decode_state(record.state)

    async def duties(self, lane: str) -> set[str]:
        return {name.removeprefix(f"{lane}/") for _, name, _, _ in await self.store.open_duties(lane)}

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        async with self.store.read_connection() as connection:
            return [tuple(row) for row in await connection.exec_driver_sql(query)]


@pytest.fixture
async def house(store: SqliteStore) -> House:
    chain, clock = DataChain(), Clock()
    house = House(store, chain, clock, Clockwork(clock, store, chain_time=True, cancel_delta=Blocks(18)))
    async with store.write() as tx:
        await tx.add_block(chain.blocks[0])
    return house


@dataclass
class Bench:
    """The services of the executors, and tasks for them with hand-built facts."""

    house: House
    services: Services

    async def task(self, duty: Duty, state: Competition, story: Story, attempts: int = 1) -> Task[Any]:
        return Task(duty.id(b.LANE), duty, state, story.lane, attempts)


@pytest.fixture
def bench(house: House) -> Bench:
    services = Services(
        store=house.store,
        clock=house.clockwork,
        secrets=MemorySecrets(),
        chain=house.chain,
        wallet=BookWallet(),
        lightning=LedgerLightning(),
        oracle=BookOracle(),
        keymeld=None,  # type: ignore[arg-type]
        notifier=None,  # type: ignore[arg-type]
    )
    house.clock.seconds = b.WALL
    return Bench(house, services)


@pytest.fixture
def book() -> BookKeymeld:
    return BookKeymeld(b.WALL)


@pytest.fixture
def attempt(bench: Bench, book: BookKeymeld) -> Attempt:
    """The first attempt of the closing, with nothing done yet."""
    bench.services = dataclasses.replace(bench.services, keymeld=book)
    return Attempt(bench.services, book)


@pytest.fixture(scope="session")
def prepared(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    database = tmp_path_factory.mktemp("attempt") / "open.db"
    return asyncio.run(Prepared.make(Path(shutil.copy(migrated, database))))
