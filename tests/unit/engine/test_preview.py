"""A draft judged before anything is made of it."""

import dataclasses
from datetime import UTC, datetime

import msgspec
import pytest

from coordinator.domain.duties import PublishTerms
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.commands.create import create_competition
from coordinator.engine.commands.preview import preview
from coordinator.engine.duty import Task
from coordinator.engine.executors.oracle import PublishTermsExecutor
from coordinator.ports.oracle import OracleSource, PlanFinding, PlanProblem, SourceMetric
from coordinator.views.budget import budget_table
from coordinator_core.competition.draft import NOAA_METRICS, read_draft
from coordinator_core.competition.terms import decode_terms
from coordinator_core.errors import InvalidInput, Refused, VerificationFailed
from tests.support.scene import BookOracle

HOUR = 3_600
METRICS = tuple(SourceMetric(metric, calibrated=True) for metric in NOAA_METRICS.values())


class WeatherOracle(BookOracle):
    """Serves the weather source; making an event is a failure of the test."""

    async def sources(self):
        return (OracleSource(id="noaa_weather", metrics=METRICS, default_metrics=("temp_high",)),)

    async def create_event(self, event):
        raise AssertionError("a preview makes no event")


@pytest.fixture
async def services(bench):
    return dataclasses.replace(bench.services, oracle=WeatherOracle())


@pytest.fixture
async def make_draft(services):
    now = await services.clock.domain()

    def make(**changes):
        def at(hours):
            return datetime.fromtimestamp(now + hours * HOUR, UTC).isoformat()

        value = {
            "title": "Weather",
            "network": "regtest",
            "targets": ["KORD", "KSAW"],
            "metrics": ["temp_high", "wind_speed"],
            "values_per_entry": 2,
            "entries_close": at(3),
            "observation_start": at(14),
            "observation_end": at(38),
            "signing_date": at(39),
            "entry_fee": 50_000,
            "minimum_entries": 3,
            "maximum_entries": 5,
            "weights": [60, 40],
            "oracle_url": "http://127.0.0.1:1",
            "keymeld_gateway": "http://127.0.0.1:2",
            "scoring": "lines",
            "closing": {"sealing": 20, "entries": 40, "approvals": 20, "signatures": 40, "kickoff_grace": 60},
        }
        return read_draft(value | changes)

    return make


async def test_a_draft_scored_by_lines_has_a_row_for_each_number_of_entries_and_makes_no_event(services, make_draft):
    draft = make_draft()
    table = budget_table(await preview(services, draft), draft.scoring)
    assert [row["entries"] for row in table["rows"]] == [3, 4, 5]
    assert table["rows"][0]["pool"] == 150_000
    assert sum(prize["gross"] for prize in table["rows"][0]["prizes"]) == 150_000
    assert table["scoring"] == "lines"
    assert table["dates"]["entries_close"] == int(draft.entries_close.timestamp())
    assert table["dates"]["closing_ends"] == table["dates"]["entries_close"] + 3 * 120 + 60
    assert table["objections"] == []
    assert len(msgspec.json.decode(msgspec.json.encode(table))["rows"][2]["shares"]["ranked"]) == 2
    assert await services.store.lanes() == []


async def test_a_cursor_that_lags_moves_no_deadline(services, make_draft, house):
    """The node is an hour ahead of us: heights and dates are counted from where it is, as when terms are published."""
    draft = make_draft()
    before = await preview(services, draft)
    for _ in range(6):
        house.chain.mine()
    seen = await preview(services, draft)
    assert (await services.clock.tip()).height == before.tip == seen.tip - 6
    assert seen.now == before.now + 6 * 600
    assert seen.tip == (await services.chain.tip()).height


async def test_terms_are_published_as_they_were_shown_although_the_cursor_lags(services, make_draft, house):
    draft = make_draft(scoring="fixed")
    lane = await create_competition(house.store, house.clockwork, house.wakeups, draft, "key")
    for _ in range(6):
        house.chain.mine()
    shown = await preview(services, draft)
    record = await house.store.lane(lane)
    view = codec.lane_of(record, await world_of(record, house.clockwork))
    assert view.world.tip == shown.tip - 6
    task = Task(PublishTerms().id(lane), PublishTerms(), codec.decode_state(record.state), view, 1)
    (published,) = (await PublishTermsExecutor(services)(task)).facts
    terms = decode_terms(published.terms.encode())
    assert terms.schedule == shown.terms.schedule
    assert terms.schedule.funding_deadline > shown.tip


async def test_what_speaks_against_it_names_field_and_fix(services, make_draft):
    draft = make_draft(entry_fee=500)
    table = budget_table(await preview(services, draft), draft.scoring)
    assert table["objections"][0]["field"] == "terms.money.entry_fee"
    assert str(table["minimum_entry_fee"]) in table["objections"][0]["fix"]


async def test_what_the_oracle_cannot_observe_is_told(services, make_draft):
    services.oracle.problems = (PlanFinding(next(iter(PlanProblem)), "XXXX", "no such station"),)
    draft = make_draft()
    table = budget_table(await preview(services, draft), draft.scoring)
    assert table["findings"][0]["subject"] == "XXXX"


async def test_drafts_that_break_a_rule_are_refused(services, make_draft):
    with pytest.raises(InvalidInput, match=r"draft\.metrics"):
        await preview(services, make_draft(metrics=["sunspots"]))
    with pytest.raises(Refused, match="escrow"):
        await preview(services, make_draft(mode="escrow"))
    with pytest.raises(VerificationFailed, match="does not serve"):
        await preview(services, make_draft(source={"id": "stocks", "type": "finance"}))
