"""The auditor finds what nothing drives and what lasts too long, mends the first, tells of both once, and says who is
awaited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.missing import missing
from coordinator.domain.facts import Fact
from coordinator.engine import auditor as auditor_module
from coordinator.engine.alarms import Alarms
from coordinator.engine.auditor import Auditor
from coordinator.engine.components import Dependency
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.health import LOOPS, Health
from coordinator.engine.operators.acting import House
from coordinator.engine.operators.attention import Kind, attention
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.vitals import Vitals
from coordinator.ports.alerts import Alert, AlertRow
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.chain import lag

WINDOWS = b.CLOSING
DRAFT = f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE))
HELD = b.seats()
STOPPED = "no fixpoint"


def collecting() -> s.CollectingEntries:
    return s.CollectingEntries(terms_hash="h")


@dataclass
class Heard:
    said: list[str] = field(default_factory=list[str])

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        self.said.append(f"raised {row.key}")

    async def cleared(self, row: AlertRow) -> None:
        self.said.append(f"cleared {row.key}")


@dataclass
class Scene:
    house: Any
    auditor: Auditor
    alarms: Alarms
    heard: Heard
    vitals: Vitals

    async def audit(self) -> None:
        """One look of the auditor, and one of those who tell operators."""
        await self.auditor.step()
        await self.alarms.step()

    async def settle(self) -> None:
        applier = self.house.applier
        while await applier.step():
            pass

    @property
    def violations(self) -> int:
        text = self.vitals.meters.exposition()
        (line,) = [one for one in text.splitlines() if one.startswith("coordinator_liveness_violations_total ")]
        return int(line.rpartition(" ")[2])


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
    auditor, heard = Auditor(house.store, house.clockwork, house.wakeups, vitals), Heard()
    freezer = Freezer(House(house.store, house.clockwork, house.wakeups))
    return Scene(house, auditor, Alarms(health, freezer, [heard], lambda: auditor.findings), heard, vitals)


async def drop(house: Any, statement: str) -> None:
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql(statement)


class TestLiveness:
    async def test_a_competition_as_it_was_left_has_a_reason_to_be_idle(self, scene: Scene) -> None:
        for number, state in enumerate((collecting(), b.awaiting_keygen(), b.awaiting_attestation())):
            lane = await scene.house.lane(
                state, *HELD, b.oracle_event(), b.session(), b.pinned(), name=f"lane-{number}"
            )
            await scene.house.apply(lane)
        await scene.audit()
        assert scene.auditor.findings == ()
        assert (scene.violations, scene.heard.said) == (0, [])

    async def test_a_timer_that_was_lost_is_found_told_and_mended(self, scene: Scene) -> None:
        house = scene.house
        lane = await house.lane(collecting(), *b.seats(state=f.HoldState.CANCELED))
        await house.apply(lane)
        assert await house.duties(lane) == set()
        before = await house.rows("SELECT name, due FROM timer")
        await drop(house, "DELETE FROM timer")

        await scene.audit()
        (found,) = scene.auditor.findings
        assert (found.kind, found.lane) == (Kind.IDLE, lane)
        assert "it waits for player to buy a ticket" in found.reason
        assert scene.violations == 1
        assert scene.heard.said == [f"raised liveness_violation/{lane}/competition"]
        shown = await attention(house.store, house.clockwork, None, scene.auditor.findings)
        assert [item.kind for item in shown] == [Kind.IDLE]

        await scene.settle()
        assert await house.rows("SELECT name, due FROM timer") == before
        await scene.audit()
        assert scene.auditor.findings == ()
        assert scene.violations == 1
        assert scene.heard.said[1:] == [f"cleared liveness_violation/{lane}/competition"]

    async def test_what_is_about_to_be_applied_is_driven(self, scene: Scene) -> None:
        await scene.house.lane(collecting(), *HELD, wake=True)
        await scene.audit()
        assert scene.violations == 0

    async def test_found_again_before_it_was_applied_is_counted_once(self, scene: Scene) -> None:
        await scene.house.lane(collecting(), *HELD)
        await scene.audit()
        await scene.audit()
        assert scene.violations == 1

    async def test_one_that_was_driven_between_the_look_and_the_write_is_no_violation(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lane = await scene.house.lane(collecting(), *HELD, wake=True)

        async def before(limit: int) -> list[str]:
            return [lane]

        monkeypatch.setattr(scene.house.store, "undriven", before)
        await scene.audit()
        assert (scene.violations, scene.auditor.findings) == (0, ())

    @pytest.mark.parametrize("state", [s.Cancelled(reason="r"), s.Failed(reason="r")])
    async def test_who_is_over_needs_nobody(self, scene: Scene, state: s.Competition) -> None:
        await scene.house.lane(state)
        await drop(scene.house, "UPDATE lane SET terminal_at = 1")
        await scene.audit()
        assert scene.violations == 0

    async def test_a_stopped_one_waits_for_its_operator(self, scene: Scene) -> None:
        lane = await scene.house.lane(collecting(), *HELD)
        async with scene.house.store.write() as tx:
            await tx.quarantine(lane, STOPPED, UnixTime(b.WALL))
        await scene.audit()
        assert (scene.violations, scene.auditor.findings) == (0, ())

    async def test_a_row_that_cannot_be_read_is_named_and_the_others_are_audited(self, scene: Scene) -> None:
        await scene.house.lane(collecting(), *HELD, name="bad")
        await scene.house.lane(collecting(), *HELD, name="good")
        await drop(scene.house, "UPDATE state_row SET data = x'00' WHERE lane = 'bad'")
        await scene.audit()
        assert {item.lane for item in scene.auditor.findings} == {"bad", "good"}
        assert scene.violations == 2

    async def test_one_that_its_rules_fail_on_is_named_and_the_others_are_audited(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(state: s.Competition, view: Any) -> Any:
            return {}["a defect"] if view.id == "bad" else missing(state, view)

        monkeypatch.setattr(auditor_module, "missing", fails)
        for name in ("bad", "good"):
            await scene.house.lane(collecting(), *HELD, name=name)
        await scene.audit()
        reasons = {item.lane: item.reason for item in scene.auditor.findings}
        assert reasons.keys() == {"bad", "good"}
        assert "KeyError: 'a defect'" in reasons["bad"]


@dataclass(frozen=True)
class Budget:
    name: str
    state: Callable[[], s.Competition]
    seconds: int
    """From when it entered its state on."""
    facts: tuple[Fact, ...] = ()


BUDGETS = [
    Budget("terms", s.Created, 900, (DRAFT,)),
    Budget("first holds", b.awaiting_escrow, WINDOWS["entries"]),
    Budget("planning", lambda: s.EscrowConfirmed(roster=b.ROSTER), WINDOWS["entries"]),
    Budget("event", b.event_created, WINDOWS["entries"]),
    Budget("session", b.awaiting_keygen, WINDOWS["entries"]),
    Budget("keygen", b.awaiting_keygen, 2 * b.SEALING + 60, (b.session(), *(b.seal(e) for e in b.ROSTER))),
    Budget("entries", b.entries_submitted, WINDOWS["entries"] + WINDOWS["kickoff_grace"]),
    Budget("batches", b.awaiting_signing, WINDOWS["entries"]),
    Budget("signatures", b.awaiting_signing, 2 * b.APPROVALS + 60, (b.batches(), *b.approvals())),
    Budget("holds", b.funding_ready, WINDOWS["entries"]),
    Budget("outcome", b.outcome_broadcasted, 86_400, (b.attested(),)),
    Budget("give back", lambda: s.Returning(reason="r", ends_in="failed"), 900),
]


class TestBudgets:
    async def late(self, scene: Scene) -> list[tuple[str, str | None]]:
        await scene.audit()
        return [(item.kind.value, item.lane) for item in scene.auditor.findings if item.kind is Kind.LATE]

    @pytest.mark.parametrize("row", BUDGETS, ids=lambda row: row.name)
    async def test_a_state_that_lasts_too_long_is_told_within_a_minute_and_is_over_with_it(
        self, scene: Scene, row: Budget
    ) -> None:
        house = scene.house
        lane = await house.lane(row.state(), *HELD, *row.facts)
        if isinstance(row.state(), s.Created):
            await drop(house, "DELETE FROM fact WHERE kind = 'published'")
        await house.apply(lane)
        key = f"state_too_old/{lane}/competition"
        house.clock.seconds = b.WALL + row.seconds
        assert await self.late(scene) == []
        house.clock.seconds += 1
        assert await self.late(scene) == [("late", lane)]
        await scene.audit()
        assert [line for line in scene.heard.said if key in line] == [f"raised {key}"]
        (found,) = scene.auditor.findings
        tag = str(row.state().__struct_config__.tag)
        assert tag in found.reason
        assert "it waits for" in found.reason
        assert f'coordinator_lanes_over_budget{{state="{tag}"}} 1' in scene.vitals.meters.exposition()
        await drop(house, "UPDATE lane SET terminal_at = 1")
        await drop(house, "DELETE FROM budget")
        await scene.audit()
        assert scene.heard.said[-1] == f"cleared {key}"
        assert "coordinator_lanes_over_budget{" not in scene.vitals.meters.exposition()

    async def test_time_in_which_a_service_was_down_does_not_count(self, scene: Scene) -> None:
        house = scene.house
        lane = await house.lane(b.event_created(), *HELD)
        await house.put(lane, f.Outage(service="oracle", since=UnixTime(b.WALL + 5), until=UnixTime(b.WALL + 105)))
        await house.apply(lane)
        house.clock.seconds = b.WALL + WINDOWS["entries"] + 100
        assert await self.late(scene) == []
        house.clock.seconds += 1
        assert len(await self.late(scene)) == 1

    async def test_waiting_for_a_date_is_not_late(self, scene: Scene) -> None:
        """Entries are sold for weeks, and a result may take as long: their budgets follow other clocks."""
        house = scene.house
        for number, state in enumerate((collecting(), b.awaiting_attestation(), b.funding_confirmed())):
            await house.apply(await house.lane(state, *HELD, b.pinned(), name=f"lane-{number}"))
        house.clock.seconds = b.WALL + 10**7
        assert await self.late(scene) == []

    async def test_a_stopped_one_is_not_late_besides(self, scene: Scene) -> None:
        house = scene.house
        lane = await house.lane(b.event_created(), *HELD)
        await house.apply(lane)
        async with house.store.write() as tx:
            await tx.quarantine(lane, STOPPED, UnixTime(b.WALL))
        house.clock.seconds = b.WALL + 10**6
        assert await self.late(scene) == []

    async def test_who_moved_on_has_a_budget_of_its_new_state(self, scene: Scene) -> None:
        house = scene.house
        lane = await house.lane(b.event_created(), *HELD)
        await house.apply(lane)
        house.clock.seconds = b.WALL + WINDOWS["entries"] - 10
        await house.put(lane, b.oracle_event())
        await house.apply(lane)
        house.clock.seconds = b.WALL + WINDOWS["entries"] + 50
        assert await self.late(scene) == []
        assert await house.rows("SELECT name, due FROM budget") == [("wall", b.WALL + 2 * WINDOWS["entries"] - 10)]
