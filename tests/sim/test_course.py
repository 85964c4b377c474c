"""A whole competition on a virtual clock: prompt when all is well, to its end when single calls go wrong."""

from __future__ import annotations

import secrets

from tests.harness.sim import prompt
from tests.harness.sim.course import Course, Phase
from tests.harness.sim.table import faulty
from tests.harness.sim.world import SimApp, simulate
from tests.support.examples import everything, fresh

ORDER = [
    "created",
    "collecting_entries",
    "awaiting_escrow",
    "escrow_confirmed",
    "event_created",
    "awaiting_keygen",
    "entries_submitted",
    "awaiting_signing",
    "funding_ready",
    "funding_broadcasted",
    "funding_confirmed",
    "awaiting_attestation",
    "outcome_broadcasted",
    "completed",
]


def test_each_automatic_step_follows_within_three_seconds_and_nothing_idles() -> None:
    found = simulate(prompt.play)
    assert found.violations == ()
    states = [step.state for step in found.steps if step.state != "created"]
    assert states == [state for state in ORDER if state != "created"]


def test_a_late_step_an_idle_lane_and_a_wrong_sum_are_told() -> None:
    late = prompt.Promptness((prompt.Reached("funding_ready", 3.1), prompt.Reached("completed", 3.0)), 2.0, -1)
    assert late.violations == (
        "funding_ready came 3.1 s late",
        "2 liveness violations",
        "the books differ by -1 msat",
    )


def test_single_faults_in_any_order_change_nothing_in_the_end() -> None:
    seed = secrets.token_hex(4) if fresh() else "f4b3febb"
    assert simulate(faulty, seed=seed, faults=15.0, shuffled=True) == (), f"seed {seed}"


def test_the_same_seed_gives_the_same_run() -> None:
    async def sell(app: SimApp) -> list[tuple[float, str]]:
        course = Course(app)
        await course.create()
        await course.pass_all(Phase.SELLING)
        return [(done.at, done.kind) for done in app.journal.completions]

    first = simulate(sell, seed="again", faults=15.0, shuffled=True)
    assert first
    assert simulate(sell, seed="again", faults=15.0, shuffled=True) == first
    if everything():
        assert simulate(sell, seed="other", faults=15.0, shuffled=True) != first
