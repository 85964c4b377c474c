"""Mistakes of others that only the whole machine can make (engine section 5)."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.sim import lanes
from tests.harness.sim.course import Course, Phase
from tests.harness.sim.returns import Scene
from tests.harness.sim.world import SimApp, simulate
from tests.support.examples import SWITCH, everything

LANES = 4 if everything() else 2
LATE_SECONDS = 5.1
PROMPT_SECONDS = 3.0


def test_a_hanging_session_delays_no_other_lane() -> None:
    found = simulate(lambda app: lanes.with_hanging_session(app, LANES))
    assert len(found.done) == LANES - 1
    assert max(found.done) <= 15.0


@pytest.mark.skipif(not everything(), reason=f"{SWITCH}=all")
def test_slow_services_time_nothing_out() -> None:
    found = simulate(lambda app: lanes.with_slow_services(app, 1, 3))
    assert len(found.done) == 1
    assert found.done[0] <= 60.0


def test_who_comes_after_five_seconds_counts_and_nobody_waits_any_longer() -> None:
    async def scenario(app: SimApp) -> tuple[float, int]:
        course = Course(app)
        competition = await course.create()
        await course.pass_through(Phase.SELLING)
        await app.close_entries(competition)
        late, *others = competition.players
        early = [asyncio.create_task(player.keep_appointment()) for player in others]
        await app.journal.until_reached(competition.id, "awaiting_keygen")
        await asyncio.sleep(LATE_SECONDS)
        came = app.journal.now()
        kit = await late.keep_appointment()
        await asyncio.gather(*early)
        assert kit is not None, "the late player was left out"
        return app.journal.reached(competition.id, "funding_ready") - came, await app.attempt(competition)

    seconds, attempt = simulate(scenario)
    assert attempt == 1
    assert seconds <= 2 * PROMPT_SECONDS


@pytest.mark.skipif(not everything(), reason=f"{SWITCH}=all")
def test_a_hold_that_lightning_gave_back_costs_one_seat_only() -> None:
    async def scenario(app: SimApp) -> tuple[int, list[str], int]:
        course = Course(app)
        competition = await course.create(minimum=2)
        await course.pass_through(Phase.SELLING)
        scene = Scene(app, course, {})
        scene.strike_in("funding_ready", scene.lose_hold)
        await course.pass_all(Phase.CLOSING, Phase.SIGNING)
        await app.journal.until_reached(competition.id, "funding_broadcasted")
        lost, *playing = competition.players
        competition.players[:] = playing
        await course.pass_all(Phase.FUNDING, Phase.SETTLING, Phase.ATTESTING, Phase.PAYING)
        changes = await course.finish()
        alias = app.services.alias(lost)
        assert f"Lightning, {alias}" not in changes
        return await app.attempt(competition), sorted(course.prizes.values()), sum(changes.values())

    assert simulate(scenario) == (2, ["PAID", "lost"], 0)
