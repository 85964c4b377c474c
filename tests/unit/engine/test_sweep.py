"""The hourly sweep: what was lost by hand is restored and counted once; what nobody touched is found as it was left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine import apply as apply_module
from coordinator.engine import sweep as sweep_module
from coordinator.engine.apply import world_of
from coordinator.engine.metrics.meters import Derived
from coordinator.engine.operators.attention import Kind
from coordinator.engine.sweep import Sweep
from coordinator.engine.timers import TimerLoop
from coordinator.engine.vitals import Vitals
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b

EVERY = [
    ("DELETE FROM duty WHERE kind = 'keymeld.register'", Derived.DUTY),
    ("UPDATE duty SET status = 'obsolete' WHERE kind = 'keymeld.register'", Derived.DUTY),
    ("DELETE FROM timer WHERE name = 'wall'", Derived.TIMER),
    ("UPDATE timer SET due = due + 1 WHERE name = 'domain'", Derived.TIMER),
    ("DELETE FROM budget", Derived.BUDGET),
    ("DELETE FROM watch WHERE keytype = 't'", Derived.WATCH),
]
TABLES = ("duty", "timer", "budget", "watch")


@dataclass
class Scene:
    house: Any
    sweep: Sweep
    vitals: Vitals

    async def settle(self) -> None:
        timers = TimerLoop(self.house.store, self.house.clockwork, self.house.wakeups)
        applier = self.house.applier
        while await timers.step() or await applier.step():
            pass

    def counted(self) -> dict[str, int]:
        begun = 'coordinator_duty_rederived_total{what="'
        lines = [line for line in self.vitals.meters.exposition().splitlines() if line.startswith(begun)]
        parts = (line.removeprefix(begun).partition('"} ') for line in lines)
        return {what: int(number) for what, _, number in parts if number != "0"}

    async def following(self) -> list[Any]:
        return [await self.house.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]

    async def by_hand(self, statement: str) -> int:
        async with self.house.store.write_connection() as connection:
            return (await connection.exec_driver_sql(statement)).rowcount


@pytest.fixture
async def scene(house) -> Scene:
    house.clock.seconds = b.WALL
    vitals = Vitals()
    return Scene(house, Sweep(house.store, house.clockwork, house.wakeups, vitals), vitals)


@pytest.fixture
async def lane(scene: Scene) -> str:
    """In its sealing window, with a coin that an earlier attempt pinned: duties, timers, watches."""
    seals = [b.seal(e) for e in b.ROSTER[:2]]
    facts = [*b.seats(), b.pinned(), b.posted(), b.oracle_event(2), b.session(2), *(b.seal(e, 2) for e in b.ROSTER[:1])]
    lane = await scene.house.lane(b.awaiting_keygen(2), *facts, *seals)
    await scene.house.apply(lane)
    return lane


async def test_what_nobody_touched_is_as_it_was_left(scene: Scene, lane: str) -> None:
    for _ in range(3):
        await scene.sweep.step()
    assert (scene.counted(), scene.sweep.findings) == ({}, ())


@pytest.mark.parametrize(("statement", "what"), EVERY)
async def test_what_was_lost_is_restored_and_counted_once(
    scene: Scene, lane: str, statement: str, what: Derived
) -> None:
    def kept(rows: list[Any]) -> list[Any]:
        """Without what an obsolete row of before keeps: attempts, moments."""
        return [sorted({row[:2] for row in table}) for table in rows]

    before = await scene.following()
    changed = await scene.by_hand(statement)
    assert changed > 0
    await scene.sweep.step()
    assert scene.counted().keys() == {what.value}
    counted = scene.counted()
    (found,) = scene.sweep.findings
    assert (found.kind, found.lane) == (Kind.DIFFERED, lane)
    assert what.value in found.reason
    await scene.settle()
    assert kept(await scene.following()) == kept(before)
    statuses = await scene.house.rows("SELECT DISTINCT status FROM duty")
    assert statuses == [("open",)]
    await scene.sweep.step()
    assert scene.counted() == counted
    assert scene.sweep.findings == ()


async def test_a_duty_that_nobody_wants_is_found(scene: Scene, lane: str) -> None:
    await scene.by_hand(f"UPDATE duty SET id = '{lane}/keymeld.register/1/nobody' WHERE kind = 'keymeld.register'")
    await scene.sweep.step()
    assert scene.counted() == {"duty": 1, "unwanted_duty": 1}
    await scene.settle()
    await scene.sweep.step()
    assert scene.sweep.findings == ()


async def test_a_fact_that_was_written_without_news_is_a_missed_step(scene: Scene) -> None:
    lane = await scene.house.lane(b.awaiting_escrow(), *b.seats())
    await scene.house.apply(lane)
    await scene.house.put(lane, b.holds_read(0, at=100))
    await scene.sweep.step()
    assert scene.counted()["step"] == 1
    await scene.settle()
    assert isinstance(await scene.house.state(lane), s.EscrowConfirmed)
    await scene.sweep.step()
    assert scene.sweep.findings == ()


async def test_what_is_about_to_be_looked_at_is_left_alone(scene: Scene, lane: str) -> None:
    await scene.house.put(lane, b.seal("entry-2", 2))
    async with scene.house.store.write() as tx:
        await tx.notify(lane, 4, "test", "news", "news", UnixTime(b.WALL))
    await scene.sweep.step()
    assert scene.counted() == {}
    await scene.settle()
    scene.house.clock.seconds = b.WALL + b.SEALING
    await scene.sweep.step()
    assert scene.counted() == {}


async def test_a_block_that_no_timer_was_fired_for_yet_is_no_bug(scene: Scene, lane: str) -> None:
    block = scene.house.chain.mine()
    async with scene.house.store.write() as tx:
        await tx.add_block(block)
    scene.house.clockwork.moved(await scene.house.store.tip())
    await scene.sweep.step()
    assert scene.counted() == {}


async def test_a_timer_that_comes_due_during_the_comparison_is_no_bug(
    scene: Scene, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(record: Any, clock: Any) -> Any:
        scene.house.clock.seconds = b.WALL + b.SEALING
        return await world_of(record, clock)

    monkeypatch.setattr(sweep_module, "world_of", later)
    await scene.sweep.step()
    assert (scene.counted(), scene.sweep.findings) == ({}, ())


async def test_one_that_its_rules_fail_on_ends_no_sweep(
    scene: Scene, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be stopped already, in a state in which it goes on as far as it can."""
    await scene.house.lane(b.awaiting_attestation(), *b.seats(), b.pinned(), name="bad")
    wanted = apply_module.wanted

    def fails(state: s.Competition, view: Any) -> Any:
        return {}["a defect"] if view.id == "bad" else wanted(state, view)

    monkeypatch.setattr(apply_module, "wanted", fails)
    async with scene.house.store.write() as tx:
        await tx.quarantine("bad", "KeyError: 'a defect'", UnixTime(b.WALL))
    await scene.by_hand("DELETE FROM timer WHERE lane != 'bad' AND name = 'wall'")
    await scene.sweep.step()
    assert scene.counted() == {"timer": 1}


async def test_a_stopped_competition_stands_still_before_its_funding(scene: Scene, lane: str) -> None:
    async with scene.house.store.write() as tx:
        await tx.quarantine(lane, "contradicts itself", UnixTime(b.WALL))
    await scene.house.put(lane, b.seal("entry-2", 2))
    await scene.sweep.step()
    assert scene.counted() == {}


async def test_an_unreadable_one_ends_no_sweep(scene: Scene, lane: str) -> None:
    await scene.house.lane(b.awaiting_escrow(), *b.seats(), name="bad")
    await scene.by_hand("UPDATE state_row SET data = x'00' WHERE lane = 'bad'")
    await scene.by_hand("DELETE FROM timer WHERE lane != 'bad' AND name = 'wall'")
    await scene.sweep.step()
    assert scene.counted() == {"timer": 1}


async def test_a_whole_life_leaves_nothing_to_find(scene: Scene) -> None:
    """From the draft to the end, swept after each step."""
    house = scene.house
    lane = await house.lane(b.awaiting_escrow(), *b.seats())
    story: list[list[f.Fact]] = [
        [b.holds_read(0, at=100)],
        [f.PlanningChecked()],
        [b.oracle_event()],
        [b.session()],
        [b.seal(e) for e in b.ROSTER],
        [b.registered(e) for e in b.ROSTER],
        [b.keygen()],
        [b.posted()],
        [b.pinned()],
        [b.batches()],
        [b.ready(e, ("batch-1-0", "batch-1-1")) for e in b.ROSTER],
        b.approvals(),
        [b.batch_signed(0), b.batch_signed(1)],
        [b.contract_signed()],
        [b.holds_read(1, at=100)],
        [b.built("funding", b.FUNDING)],
        [f.Sent(role="funding", txid=b.FUNDING)],
    ]
    await house.apply(lane)
    for facts in story:
        house.clock.seconds += 3
        await house.put(lane, *facts)
        await house.apply(lane)
        await scene.sweep.step()
        assert scene.counted() == {}, facts
    assert isinstance(await house.state(lane), s.FundingBroadcasted)
    assert (await house.clockwork.tip()).height == Height(100)
