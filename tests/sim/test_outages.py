"""Each dependency away where it hurts: the competition goes on within a minute and ends as it should (G13, short form).

Every phase, every span and every manner: `./dev chaos --sim --only outages`.
"""

from __future__ import annotations

import pytest

from tests.harness.sim.course import Course, Phase
from tests.harness.sim.links import Manner
from tests.harness.sim.outages import Outage, Report, play, table
from tests.harness.sim.world import DEPENDENCIES, SimApp, simulate
from tests.support.examples import everything

SHORT = [Outage("keymeld", Phase.CLOSING, 30.0, Manner.HALF_OPEN)]
MORE = [
    Outage("node", Phase.FUNDING, 30.0),
    Outage("lightning", Phase.SETTLING, 30.0),
    Outage("oracle", Phase.ATTESTING, 120.0, Manner.INTERNAL_ERROR),
]
LONGEST_PAUSE = 40.0
"""Seconds: half a minute of back-off, a fifth of jitter, and the call itself."""


@pytest.mark.parametrize(
    "outage", [*SHORT, *(MORE if everything() else ())], ids=lambda outage: f"{outage.service}-{outage.phase}"
)
def test_an_outage_costs_its_own_time_and_little_more(outage: Outage) -> None:
    claims: list[tuple[float, str]] = []

    async def scenario(app: SimApp) -> Report:
        app.journal.claimed = lambda row: claims.append((app.journal.now(), row.id))  # type: ignore[method-assign]
        return await play(app, outage)

    report = simulate(scenario, seed=outage.service)
    assert report.violations == ()
    assert report.attempts == 1
    assert 0.0 < _longest_pause(claims) <= LONGEST_PAUSE


def _longest_pause(claims: list[tuple[float, str]]) -> float:
    last: dict[str, float] = {}
    longest = 0.0
    for at, duty in claims:
        longest = max(longest, at - last.get(duty, at))
        last[duty] = at
    return longest


def test_what_an_outage_may_not_cost_is_told() -> None:
    outage = Outage("node", Phase.FUNDING, 30.0)
    assert Report(outage, "completed", 60.0, 1, 1, 0).violations == ()
    assert Report(outage, "failed", 60.1, 1, 0, 5).violations == (
        "it ended failed",
        "it took 60.1 s to go on",
        "0 prizes were paid",
        "the books differ by 5 msat",
    )


def test_the_table_has_every_dependency_in_every_phase_for_both_spans() -> None:
    assert {(o.service, o.phase, o.seconds) for o in table()} == {
        (service, phase, span) for service in DEPENDENCIES for phase in Phase for span in (30.0, 1_800.0)
    }


def test_keymeld_is_not_needed_once_the_funding_left() -> None:
    async def scenario(app: SimApp) -> int:
        course = Course(app)
        await course.create()
        await course.pass_all(Phase.SELLING, Phase.CLOSING, Phase.SIGNING, Phase.FUNDING)
        for link in app.dependency("keymeld").links:
            link.break_off()
        await course.pass_all(Phase.SETTLING, Phase.ATTESTING, Phase.PAYING)
        return sum((await course.finish()).values())

    assert simulate(scenario) == 0
