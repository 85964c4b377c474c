"""What is refused of a draft before its oracle is asked."""

import tomllib

import pytest

from coordinator_core.competition.draft import read_draft
from coordinator_core.competition.draft_rules import require_playable
from coordinator_core.errors import InvalidInput, Refused

NOW = 1_790_000_000  # 2026-09-21T13:33:20Z
TIP = 900_000
CANCEL_DELTA = 18
DRAFT = {
    "title": "Tomorrow in Chicago",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high", "sunspots"],
    "values_per_entry": 2,
    **tomllib.loads("""
entries_close = 2026-09-22T00:00:00Z
observation_start = 2026-09-23T00:00:00Z
observation_end = 2026-09-24T00:00:00Z
signing_date = 2026-09-24T02:00:00Z
"""),
    "entry_fee": 20_000,
    "minimum_entries": 3,
    "maximum_entries": 5,
    "weights": [70, 30],
    "oracle_url": "http://127.0.0.1:9800",
    "keymeld_gateway": "http://127.0.0.1:8090",
}


def require(now: int = NOW, **changes: object) -> bool:
    """True; raises what is refused."""
    require_playable(read_draft({**DRAFT, **changes}), TIP, now, CANCEL_DELTA)  # type: ignore[arg-type]
    return True


@pytest.mark.parametrize("scoring", ["fixed", "lines"])
def test_what_only_the_oracle_knows_is_left_open(scoring: str) -> None:
    assert require(scoring=scoring)


def test_a_closing_that_is_over_is_no_date() -> None:
    late = NOW + 86_400
    with pytest.raises(InvalidInput, match="would be over already") as caught:
        require(now=late)
    assert caught.value.field == "terms.schedule.entries_close"


def test_a_closing_time_that_has_passed_is_refused_while_its_closing_goes_on() -> None:
    with pytest.raises(InvalidInput, match="is in the past"):
        require(now=1_790_035_200 + 60)


def test_a_deadline_too_near_the_weather_is_refused() -> None:
    with pytest.raises(Refused, match="slow blocks would be") as caught:
        require(observation_start=tomllib.loads("at = 2026-09-22T08:00:00Z")["at"])
    assert caught.value.field == "terms.observation.window.start"


def test_what_does_not_fit_keymeld_or_pays_too_little_is_refused() -> None:
    with pytest.raises(Refused):
        require(maximum_entries=25)
    with pytest.raises(Refused):
        require(entry_fee=500)


def test_a_metric_that_the_half_day_does_not_observe_is_refused() -> None:
    with pytest.raises(InvalidInput, match="half day"):
        require(observation_end=tomllib.loads("at = 2026-09-23T12:00:00Z")["at"])
