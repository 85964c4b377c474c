"""Operators are told once, again after ten minutes, and when it is over; a sink that fails stops no other."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from coordinator.engine.alarms import _OF_CHAIN, AGAIN_SECONDS, OF_ATTENTION, Alarms, of_attention
from coordinator.engine.chain.lookout import REFUSALS
from coordinator.engine.components import Child, ChildState, Dependency
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.health import LOOPS, Health
from coordinator.engine.operators.acting import House
from coordinator.engine.operators.attention import Attention, Kind
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.vitals import Vitals
from coordinator.ports.alerts import Alert, AlertName, AlertRow
from coordinator.ports.faults import Unreachable
from coordinator_core.errors import Fault
from coordinator_core.units import Seconds, UnixTime
from tests.support.chain import CURSOR, lag

KEY = "dependency_away/oracle"


@dataclass
class Heard:
    """A sink that remembers, or one that takes nothing."""

    broken: bool = False
    said: list[str] = field(default_factory=list[str])

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        self._say(f"raised {row.key}")

    async def cleared(self, row: AlertRow) -> None:
        self._say(f"cleared {row.key}")

    def _say(self, text: str) -> None:
        if self.broken:
            raise Unreachable("webhook", "is away", fault=Fault.COORDINATOR)
        self.said.append(text)


@dataclass
class Scene:
    health: Health
    alarms: Alarms
    heard: Heard
    house: object

    def oracle(self, reason: str | None, times: int = 3) -> None:
        for _ in range(times):
            self.health.dependencies.record(Dependency.ORACLE, self.health.clock.wall(), reason)

    async def row(self) -> AlertRow:
        (row,) = await self.health.store.alerts()
        return row


@pytest.fixture
async def scene(bench) -> Scene:
    house, vitals = bench.house, Vitals()
    dependencies = Dependencies(bench.services, house.clockwork, house.wakeups, vitals)
    lag(dependencies.lookout, 0)
    health = Health(house.store, house.clockwork, dependencies, vitals, poll_seconds=5.0)
    for dependency in Dependency:
        dependencies.record(dependency, house.clock.now(), None)
    for child in LOOPS.values():
        vitals.beat(child)
    await health.sample()
    heard = Heard()
    freezer = Freezer(House(house.store, house.clockwork, house.wakeups))
    return Scene(health, Alarms(health, freezer, [Heard(broken=True), heard]), heard, house)


async def test_nothing_is_told_while_all_is_well(scene: Scene) -> None:
    await scene.alarms.step()
    assert scene.heard.said == []
    assert list(await scene.health.store.alerts()) == []


async def test_once_and_again_after_ten_minutes_and_when_it_is_over(scene: Scene, house) -> None:
    scene.oracle("does not answer")
    for _ in range(5):
        await scene.alarms.step()
    assert scene.heard.said == [f"raised {KEY}"]
    assert (await scene.row()).count == 1
    house.clock.seconds += AGAIN_SECONDS
    await scene.alarms.step()
    assert scene.heard.said == [f"raised {KEY}"] * 2
    scene.oracle(None)
    await scene.alarms.step()
    await scene.alarms.step()
    assert scene.heard.said[2:] == [f"cleared {KEY}"]
    assert (await scene.row()).cleared == house.clock.now()


async def test_a_storm_is_one_telling(scene: Scene, house) -> None:
    for _ in range(20):
        scene.oracle("does not answer")
        await scene.alarms.step()
        scene.oracle(None)
        await scene.alarms.step()
        house.clock.seconds += 10
    assert scene.heard.said == [f"raised {KEY}", f"cleared {KEY}"]
    assert (await scene.row()).count == 20
    scene.oracle("does not answer")
    house.clock.seconds += AGAIN_SECONDS
    await scene.alarms.step()
    assert scene.heard.said[2:] == [f"raised {KEY}"]


async def test_each_trouble_has_a_key_of_its_own(scene: Scene) -> None:
    scene.oracle("does not answer")
    for _ in range(3):
        scene.health.dependencies.record(Dependency.KEYMELD, UnixTime(0), "does not answer")
    await scene.alarms.step()
    assert sorted(scene.heard.said) == ["raised dependency_away/keymeld", f"raised {KEY}"]


async def test_a_chain_that_fails_or_stands_still_is_told_and_told_to_be_over(scene: Scene) -> None:
    lookout = scene.health.dependencies.lookout
    for _ in range(REFUSALS - 1):
        lookout.refused("another block")
    await scene.alarms.step()
    assert scene.heard.said == []
    lookout.refused("another block")
    await scene.alarms.step()
    assert scene.heard.said == ["raised chain_failed"]
    assert (await scene.row()).summary == "another block"
    lookout.stored(CURSOR, moved=True)
    await scene.alarms.step()
    assert scene.heard.said == ["raised chain_failed", "cleared chain_failed"]
    assert set(_OF_CHAIN.values()) == {AlertName.CHAIN_FAILED, AlertName.CHAIN_STALE}


def test_everything_that_needs_attention_is_an_alert() -> None:
    assert set(OF_ATTENTION) == set(Kind)
    items = [
        Attention(kind=kind, lane="l", subject="s", reason="why", since=UnixTime(1), age=Seconds(1), fix="do this")
        for kind in Kind
    ]
    alerts = list(of_attention(items))
    assert {alert.name for alert in alerts} == set(OF_ATTENTION.values())
    assert len({alert.key for alert in alerts}) == len(Kind)
    assert all(alert.summary == "why; do this" for alert in alerts)
    assert AlertName.NEEDS_OPERATOR in {alert.name for alert in alerts}


async def test_a_loop_that_keeps_dying_is_told_once_however_often_it_is_tried(scene: Scene, house) -> None:
    states = dict.fromkeys(Child, ChildState.RUNNING)
    scene.health.children = lambda: states
    await scene.alarms.step()
    assert scene.heard.said == []
    states[Child.CHAIN] = ChildState.DEGRADED
    for _ in range(20):
        await scene.alarms.step()
        house.clock.seconds += 15
    assert scene.heard.said == ["raised loop_degraded/chain"]
    states[Child.CHAIN] = ChildState.RUNNING
    await scene.alarms.step()
    assert scene.heard.said == ["raised loop_degraded/chain", "cleared loop_degraded/chain"]


async def test_a_loop_in_its_first_pauses_is_nobodys_business(scene: Scene) -> None:
    states = dict.fromkeys(Child, ChildState.BACKOFF)
    scene.health.children = lambda: states
    await scene.alarms.step()
    assert scene.heard.said == []
