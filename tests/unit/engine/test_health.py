"""Health is progress: what does not turn, is late, lags or is driven by nothing is seen; a flap is not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain.competitions.states import Created
from coordinator.domain.duties import CheckPlanning
from coordinator.engine import codec
from coordinator.engine.components import Child, ChildState, Component, Dependency
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.examination import EngineExamination
from coordinator.engine.health import LATE_DUTY_SECONDS, LOOPS, STALE_SECONDS, Health, Status
from coordinator.engine.metrics.publishing import publish
from coordinator.engine.vitals import Hysteresis, Vitals
from coordinator.ports.timing import Wake
from coordinator_core.units import Height
from tests.support import lanes as b
from tests.support.chain import lag as see


@dataclass
class Ticking:
    """A clock for beats that stands until it is moved."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Ward:
    """A health over the real store, and the loops' beats by hand."""

    house: Any
    health: Health
    ticking: Ticking
    alive: set[Child] = field(default_factory=lambda: set(LOOPS.values()))

    async def pass_by(self, seconds: int) -> None:
        """Seconds in which every living loop turns and health is sampled each second."""
        for _ in range(seconds):
            self.ticking.seconds += 1
            self.house.clock.seconds += 1
            for child in self.alive:
                self.health.vitals.beat(child)
            await self.health.sample()

    @property
    def status(self) -> Status:
        return self.health.report().status

    @property
    def unwell(self) -> set[Component]:
        return {component for component, well in self.health.report().components.items() if not well}


@pytest.fixture
async def ward(bench) -> Ward:
    ticking = Ticking()
    vitals = Vitals(clock=ticking)
    house = bench.house
    dependencies = Dependencies(bench.services, house.clockwork, house.wakeups, vitals)
    see(dependencies.lookout, 0)
    for dependency in Dependency:
        dependencies.record(dependency, house.clock.now(), None)
    made = Ward(house, Health(house.store, house.clockwork, dependencies, vitals, poll_seconds=5.0), ticking)
    await made.pass_by(6)
    return made


def test_three_failures_make_unhealthy_and_two_successes_healthy() -> None:
    state = Hysteresis()
    seen = []
    for succeeded in (False, False, True, False, False, False, True, False, True, True):
        state.note(succeeded)
        seen.append(state.healthy)
    assert seen == [True, True, True, True, True, False, False, False, False, True]


async def test_everything_well(ward: Ward) -> None:
    assert (ward.status, ward.unwell) == (Status.OK, set())


@pytest.mark.parametrize("component", list(LOOPS))
async def test_a_loop_that_does_not_turn_is_seen(ward: Ward, component: Component) -> None:
    ward.alive.remove(LOOPS[component])
    await ward.pass_by(1)
    assert ward.status is Status.OK
    await ward.pass_by(2 * 5 + 60 + 3)
    assert (ward.status, ward.unwell) == (Status.UNHEALTHY, {component})
    ward.alive.add(LOOPS[component])
    await ward.pass_by(2)
    assert ward.status is Status.OK


@pytest.mark.parametrize("child", [Child.APPLY, Child.DUTIES])
async def test_a_frozen_loop_is_seen_within_ten_seconds(ward: Ward, child: Child) -> None:
    ward.alive.remove(child)
    await ward.pass_by(10)
    assert ward.status is Status.UNHEALTHY


async def test_a_sampler_that_hangs_is_seen_by_who_asks(ward: Ward) -> None:
    ward.ticking.seconds += STALE_SECONDS + 1
    assert ward.status is Status.UNHEALTHY
    condition = await EngineExamination(ward.health).condition()
    assert "no engine heartbeat" in condition.problem


async def test_a_duty_that_nobody_claims_is_no_progress(ward: Ward) -> None:
    duty = CheckPlanning()
    await ward.house.lane(Created())
    async with ward.house.store.write() as tx:
        wanted = {duty.id(b.LANE): (duty.channel.value, duty.kind(), codec.encode_duty(duty))}
        await tx.want_duties(b.LANE, wanted, float(ward.house.clock.now()))
    await ward.pass_by(int(LATE_DUTY_SECONDS) - 5)
    assert ward.status is Status.OK
    assert ward.health.work().oldest_due_duty_seconds == pytest.approx(LATE_DUTY_SECONDS - 5, abs=5)
    await ward.pass_by(25)
    assert (ward.status, ward.unwell) == (Status.UNHEALTHY, {Component.DUTIES})
    text = publish(ward.health, height=Height(100), frozen=False)
    assert 'coordinator_duty_oldest_due_seconds{channel="oracle"} 8' in text


async def test_an_inbox_row_that_nobody_applies_is_no_progress(ward: Ward) -> None:
    await ward.house.lane(Created(), wake=True)
    await ward.pass_by(50)
    assert (ward.status, ward.unwell) == (Status.UNHEALTHY, {Component.INBOX})


@pytest.mark.parametrize(("lag", "well"), [(0, True), (2, True), (3, False), (None, False)])
async def test_a_chain_that_lags_or_is_unknown_degrades(ward: Ward, lag: int | None, well: bool) -> None:
    see(ward.health.dependencies.lookout, lag)
    await ward.pass_by(20)
    assert ward.status is (Status.OK if well else Status.DEGRADED)
    assert ward.health.work().chain_lag_blocks == lag
    shown = "NaN" if lag is None else str(lag)
    assert f"coordinator_chain_lag_blocks {shown}\n" in publish(ward.health, height=Height(100), frozen=False)


async def test_a_service_that_is_away_degrades_and_stops_nothing(ward: Ward) -> None:
    record = ward.health.dependencies.record
    for _ in range(2):
        record(Dependency.LIGHTNING, ward.house.clock.now(), "does not answer")
    assert ward.status is Status.OK
    record(Dependency.LIGHTNING, ward.house.clock.now(), "does not answer")
    assert (ward.status, ward.unwell) == (Status.DEGRADED, {Component.LIGHTNING})
    assert (await EngineExamination(ward.health).condition()).is_ready
    text = publish(ward.health, height=Height(100), frozen=False)
    assert 'coordinator_dependency_up{dependency="lightning"} 0' in text
    assert 'coordinator_dependency_probes_total{dependency="lightning",outcome="down"} 3' in text


async def test_a_competition_that_nothing_drives_is_counted(ward: Ward) -> None:
    await ward.house.lane(Created())
    await ward.pass_by(5)
    assert ward.health.work().stuck_competitions == 1
    assert ward.status is Status.DEGRADED


@pytest.mark.parametrize("driver", ["timer", "inbox"])
async def test_what_will_be_looked_at_again_is_not_stuck(ward: Ward, driver: str) -> None:
    await ward.house.lane(Created(), wake=driver == "inbox")
    async with ward.house.store.write() as tx:
        if driver == "timer":
            await tx.set_wake(b.LANE, Wake(height=Height(10**6)))
    await ward.pass_by(5)
    assert ward.health.work().stuck_competitions == 0


async def test_a_database_that_cannot_be_read_makes_everything_unknown(ward: Ward) -> None:
    class Broken:
        async def progress(self, now: float) -> object:
            raise OSError("disk")

    broken: Any = Broken()
    ward.health = dataclasses.replace(ward.health, store=broken)
    await ward.pass_by(16)
    assert ward.status is Status.UNHEALTHY
    assert Component.DATABASE in ward.unwell
    assert ward.health.work().oldest_inbox_row_seconds is None
    text = publish(ward.health, height=Height(100), frozen=True)
    assert "coordinator_inbox_oldest_seconds NaN\n" in text
    assert "coordinator_lanes{" not in text
    assert "coordinator_new_money_frozen 1\n" in text


async def test_not_ready_while_it_stops(ward: Ward) -> None:
    ward.health.stopping = True
    assert "stopping" in (await EngineExamination(ward.health).condition()).problem


async def test_a_degraded_loop_degrades_and_is_shown(ward: Ward) -> None:
    states = dict.fromkeys(Child, ChildState.RUNNING)
    ward.health.children = lambda: states
    assert ward.status is Status.OK
    states[Child.RETENTION] = ChildState.DEGRADED
    assert ward.status is Status.DEGRADED
    assert ward.health.report().children[Child.RETENTION] is ChildState.DEGRADED
    text = publish(ward.health, height=Height(100), frozen=False)
    assert 'coordinator_supervisor_child_state{child="retention",state="degraded"} 1' in text
    assert 'coordinator_supervisor_child_state{child="retention",state="running"} 0' in text
    assert 'coordinator_supervisor_child_state{child="chain",state="running"} 1' in text
    assert text.count("coordinator_supervisor_child_state{") == len(Child) * len(ChildState)
