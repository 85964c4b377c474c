"""Terms are fixed once: by the node's own tip, the oracle's key and metrics, and the lines of event 0."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.domain.competitions.states import Created
from coordinator.domain.duties import PublishTerms
from coordinator.domain.facts import Published
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.commands.create import create_competition
from coordinator.engine.duty import Done, Task
from coordinator.engine.executors.oracle import PublishTermsExecutor
from coordinator.ports import oracle as port
from coordinator.ports.faults import Unreachable
from coordinator_core.competition.draft import NOAA_METRICS, Draft, read_draft
from coordinator_core.competition.observation import ATTEMPTS, CreateEvent, DataSource, Line, ScoringRules
from coordinator_core.competition.schedule import end_of_closing
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.errors import Fault, InvalidInput, Misuse, Refused, VerificationFailed
from tests.support.attempt import altered
from tests.support.lanes import Story
from tests.support.scene import BookOracle

HOUR = 3_600
PAIRS = (("KORD", "temp_high"), ("KSAW", "temp_high"))


@dataclass
class WeatherOracle(BookOracle):
    """Serves the weather source; its forecast moves each time that lines are asked for."""

    asked: list[CreateEvent] = field(default_factory=list[CreateEvent])
    lost: bool = False

    async def sources(self) -> tuple[port.OracleSource, ...]:
        metrics = tuple(port.SourceMetric(metric, calibrated=True) for metric in NOAA_METRICS.values())
        return (port.OracleSource(id="noaa_weather", metrics=metrics, default_metrics=("temp_high",)),)

    async def create_event(self, event: CreateEvent) -> port.OracleEvent:
        self.asked.append(event)
        made = await super().create_event(event)
        if self.lost:
            self.lost = False
            raise Unreachable("oracle", "no answer", fault=Fault.ORACLE)
        return altered(made, lines=self.lines)

    @property
    def lines(self) -> tuple[Line, ...]:
        upper = f"{len(self.asked)}.5"
        return tuple(Line(target=t, metric=m, lower="-1.5", upper=upper, window_hours=24) for t, m in PAIRS)


@pytest.fixture
async def oracle(bench) -> WeatherOracle:
    oracle = WeatherOracle()
    bench.services = dataclasses.replace(bench.services, oracle=oracle)
    return oracle


@pytest.fixture
async def draft(house) -> Draft:
    now = (await house.chain.tip()).time

    def at(hours: int) -> str:
        return datetime.fromtimestamp(now + hours * HOUR, UTC).isoformat()

    document = {
        "title": "Weather",
        "network": "regtest",
        "targets": ["KORD", "KSAW"],
        "metrics": ["temp_high"],
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
    return read_draft(document)


@pytest.fixture
def publish(bench, house, draft: Draft):
    async def publish(changes: dict[str, Any] | None = None) -> Done:
        made = altered(draft, **(changes or {}))
        lane = await create_competition(house.store, house.clockwork, house.wakeups, made, str(changes))
        record = await house.store.lane(lane)
        view = codec.lane_of(record, await world_of(record, house.clockwork))
        task: Task[Any] = Task(PublishTerms().id(lane), PublishTerms(), codec.decode_state(record.state), view, 1)
        outcome = await PublishTermsExecutor(bench.services)(task)
        assert isinstance(outcome, Done)
        return outcome

    return publish


def terms_of(outcome: Done) -> Terms:
    (published,) = outcome.facts
    assert isinstance(published, Published)
    terms = decode_terms(published.terms.encode())
    assert published.terms_hash == terms.hash.hex()
    return terms


async def test_lines_come_from_event_0_whose_id_the_terms_name(publish, oracle: WeatherOracle) -> None:
    terms = terms_of(await publish())
    (event,) = oracle.asked
    assert event.id == terms.oracle.event_ids[0]
    assert len(set(terms.oracle.event_ids)) == ATTEMPTS + 1
    assert event.total_allowed_entries == terms.entries.maximum
    assert terms.scoring.lines == oracle.lines


async def test_fixed_scoring_makes_no_event(publish, oracle: WeatherOracle) -> None:
    terms = terms_of(await publish({"scoring": ScoringRules.FIXED}))
    assert oracle.asked == []
    assert terms.scoring.lines == ()


async def test_the_deadline_is_counted_from_the_nodes_tip_not_from_our_cursor(
    publish, oracle: WeatherOracle, house
) -> None:
    for _ in range(9):
        house.chain.mine()
    terms, tip = terms_of(await publish()), await house.chain.tip()
    assert (await house.clockwork.tip()).height == tip.height - 9
    seconds = end_of_closing(terms.schedule) - tip.time
    assert terms.schedule.funding_deadline == tip.height + -(-seconds * 115 // 60_000)


async def test_what_was_fixed_once_is_what_is_published(publish, oracle: WeatherOracle, house) -> None:
    """A crash after the pin: neither a block nor a new forecast changes the terms."""
    first = await publish()
    house.chain.mine()
    assert await publish() == first
    assert len(oracle.asked) == 1


async def test_a_lost_answer_of_the_oracle_asks_for_the_same_event_again(publish, oracle: WeatherOracle) -> None:
    oracle.lost = True
    with pytest.raises(Unreachable):
        await publish()
    terms = terms_of(await publish())
    assert [event.id for event in oracle.asked] == [terms.oracle.event_ids[0]] * 2
    assert oracle.asked[0] == oracle.asked[1]
    assert terms.oracle_key == oracle.key.public_key


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"metrics": ("sunspots",)}, InvalidInput, r"draft\.metrics"),
        ({"source": DataSource(id="stocks", type="finance")}, VerificationFailed, "does not serve the source stocks"),
        ({"entry_fee": 500}, Refused, r"entry_fee"),
    ],
)
async def test_what_cannot_be_played_is_never_published(
    publish, oracle: WeatherOracle, house, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await publish(changes)
    assert await house.rows("SELECT slot FROM pin WHERE slot = 'terms'") == []


async def test_lines_that_are_not_the_ones_of_the_pairs_are_refused(
    publish, oracle: WeatherOracle, monkeypatch
) -> None:
    monkeypatch.setattr(WeatherOracle, "lines", property(lambda self: ()))
    with pytest.raises(InvalidInput, match=r"terms\.scoring\.lines"):
        await publish()


async def test_without_a_draft_there_is_nothing_to_publish(bench, oracle: WeatherOracle) -> None:
    task: Task[Any] = Task("t", PublishTerms(), Created(), Story(published=False).lane, 1)
    with pytest.raises(Misuse, match="without a draft"):
        await PublishTermsExecutor(bench.services)(task)
    assert oracle.asked == []
