"""What an observer sees of a duty, and that each boundary is where its name says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine.applier import Applier
from coordinator.engine.commands.create import create_competition
from coordinator.engine.duty import Done, Outcome, Task
from coordinator.engine.executors.services import Services
from coordinator.engine.observer import Unobserved
from coordinator.engine.operators import lanes
from coordinator.engine.operators.acting import By, House
from coordinator.engine.submit import Decision, submit
from coordinator.engine.worker import Worker
from coordinator.ports.leasing import DutyRow
from coordinator_core.competition.draft import read_draft
from tests.support import lanes as b

KIND = "oracle.create_event"
DUTY = f"{b.LANE}/{KIND}/1"
DRAFT = {
    "title": "Rain",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high"],
    "values_per_entry": 1,
    "entries_close": datetime(2023, 11, 16, tzinfo=UTC),
    "observation_start": datetime(2023, 11, 17, tzinfo=UTC),
    "observation_end": datetime(2023, 11, 18, tzinfo=UTC),
    "signing_date": datetime(2023, 11, 18, 1, tzinfo=UTC),
    "entry_fee": 50_000,
    "minimum_entries": 3,
    "maximum_entries": 5,
    "oracle_url": "http://127.0.0.1:9800",
    "keymeld_gateway": "http://127.0.0.1:8090",
}


class Died(Exception):
    """The process ends here."""


class Watching(Unobserved):
    """Writes down what it sees; dies at one boundary."""

    def __init__(self, dies_at: str = "") -> None:
        self.seen: list[str] = []
        self._dies_at = dies_at

    def _note(self, boundary: str) -> None:
        self.seen.append(boundary)
        if boundary == self._dies_at:
            raise Died

    def applied(self, lane: str, states: Sequence[str]) -> None:
        self._note(f"applied {'/'.join(states)}")

    def claimed(self, row: DutyRow) -> None:
        self._note("claimed")

    def pinning(self, duty: str, slot: str) -> None:
        self._note(f"pinning {slot}")

    def pinned(self, duty: str, slot: str) -> None:
        self._note(f"pinned {slot}")

    def executed(self, row: DutyRow) -> None:
        self._note("executed")

    def completed(self, row: DutyRow) -> None:
        self._note("completed")


@pytest.fixture
async def lane(house) -> str:
    name = await house.lane(b.event_created(), *b.seats())
    await house.apply(name)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE kind = ?", (KIND,))
        await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind != ?", (KIND,))
    return name


async def work(house, observer: Watching, until: str) -> list[str]:
    """One duty with one pin and one effect; what was done outside, up to a boundary."""
    effects: list[str] = []
    others: dict[str, Any] = dict.fromkeys(("secrets", "chain", "wallet", "lightning", "oracle", "keymeld", "notifier"))
    services = Services(store=house.store, clock=house.clockwork, observer=observer, **others)

    async def execute(task: Task[Any]) -> Outcome:
        value = await services.pinned(task.id, "id", lambda: f"made {len(effects)}".encode())
        effects.append(value.decode())
        return Done([b.oracle_event()])

    worker = Worker(house.store, house.clockwork, house.wakeups, {KIND: execute}, observer)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(10):
            while until not in observer.seen:
                await house.wakeups.duties.wait()
                house.wakeups.duties.clear()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return effects


async def test_boundaries_come_in_their_order(house, lane: str) -> None:
    observer = Watching()
    await work(house, observer, "completed")
    assert observer.seen == ["claimed", "pinning id", "pinned id", "executed", "completed"]
    applier = Applier(house.store, house.clockwork, house.wakeups, observer)
    while await applier.step():
        pass
    assert observer.seen[5:] == ["applied awaiting_keygen"]


async def test_a_command_tells_the_states_that_it_reached_once_they_are_on_disk(house) -> None:
    lane = await house.lane(s.CollectingEntries(terms_hash="h"))
    observer = Watching("applied returning/cancelled")

    def decide(state: object, found: object) -> Decision:
        return Decision([f.CancelAsked(by="operator", reason="rain everywhere")], {"cancelled": True})

    async def command() -> bytes:
        parts = (house.store, house.clockwork, house.wakeups)
        return await submit(*parts, lane=lane, kind="test", dkey="key", decide=decide, observer=observer)

    with pytest.raises(Died):
        await command()
    assert isinstance(await house.state(lane), s.Cancelled)
    # The stored answer is given again; nothing is applied a second time.
    assert await command() == b'{"cancelled":true}'
    assert observer.seen == ["applied returning/cancelled"]


async def test_an_operators_act_tells_the_states_that_it_reached(house) -> None:
    lane = await house.lane(s.CollectingEntries(terms_hash="h"))
    observer = Watching("applied returning/cancelled")
    operators = House(house.store, house.clockwork, house.wakeups, observer)
    by = By("operator", "rain everywhere", "key")
    with pytest.raises(Died):
        await lanes.cancel(operators, by, lane)
    assert isinstance(await house.state(lane), s.Cancelled)
    assert await lanes.cancel(operators, by, lane) == b'{"cancelled":true,"awaits_second_owner":false}'
    assert observer.seen == ["applied returning/cancelled", "applied "]


async def test_a_new_competition_is_told_of(house) -> None:
    observer = Watching("applied created")
    with pytest.raises(Died):
        await create_competition(house.store, house.clockwork, house.wakeups, read_draft(DRAFT), "key", observer)
    [lane] = await house.store.lanes()
    assert isinstance(await house.state(lane), s.Created)


async def pins(house) -> int:
    return int((await house.rows(f"SELECT count(*) FROM pin WHERE duty = '{DUTY}'"))[0][0])


async def status(house) -> str:
    return str((await house.rows(f"SELECT status FROM duty WHERE id = '{DUTY}'"))[0][0])


async def fact(house, lane: str) -> bool:
    return (await house.store.lane(lane)).facts.get(f.OracleEvent, 1) is not None


@pytest.mark.parametrize(
    ("boundary", "pinned", "effects", "written"),
    [
        ("claimed", 0, 0, False),
        ("pinning id", 0, 0, False),
        ("pinned id", 1, 0, False),
        ("executed", 1, 1, False),
        ("completed", 1, 1, True),
    ],
)
async def test_what_is_on_disk_at_each_boundary(
    house, lane: str, boundary: str, pinned: int, effects: int, written: bool
) -> None:
    done = await work(house, Watching(boundary), boundary)
    assert (await pins(house), len(done)) == (pinned, effects)
    # An executor's exception is an outcome of its own: the duty stays open in any case.
    assert (await status(house) == "done", await fact(house, lane)) == (written, written)
