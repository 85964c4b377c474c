import tomllib
from uuid import UUID

import pytest

from coordinator_core.competition.draft import NOAA_METRICS, Setting, fix_terms, read_draft
from coordinator_core.competition.observation import Line
from coordinator_core.competition.schedule import check_creation
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import G

NOW = 1_790_000_000  # 2026-09-21T13:33:20Z
TIP = 900_000

TOML = """
title = "Tomorrow in Chicago"
network = "regtest"
targets = ["KORD"]
metrics = ["temp_high", "temp_low"]
values_per_entry = 2
entries_close = 2026-09-22T00:00:00Z
observation_start = 2026-09-23T00:00:00Z
observation_end = 2026-09-24T00:00:00+00:00
signing_date = 2026-09-24T02:00:00Z
entry_fee = 20000
minimum_entries = 3
maximum_entries = 5
weights = [70, 30]
oracle_url = "http://127.0.0.1:9800"
keymeld_gateway = "http://127.0.0.1:8090"
"""

LINES = tuple(
    Line(target="KORD", metric=m, lower="-1.5", upper="1.5", window_hours=24) for m in ("temp_high", "temp_low")
)
SETTING = Setting(
    competition_id=UUID("01926f3a-0000-7000-8000-0000000000ff"),
    coordinator_key=G[1:],
    oracle_key=G,
    event_ids=tuple(UUID(f"01926f3a-0000-7000-8000-{i:012x}") for i in range(9)),
    metrics=NOAA_METRICS,
    lines=LINES,
    tip=TIP,
    now=NOW,
)


def test_a_file_becomes_terms_that_can_be_published():
    terms = fix_terms(read_draft(tomllib.loads(TOML)), SETTING)
    check_creation(terms, TIP, NOW, 18)
    assert (terms.contract.delta, terms.contract.required_confirmations) == (144, 1)
    assert terms.contract.outcome_bound_splits
    assert terms.contract.expiry == terms.observation.signing_date + 2 * 86_400
    assert [metric.rule for metric in terms.observation.metrics] == ["rounded", "rounded"]


def test_event_zero_can_be_made_before_there_are_terms():
    draft = read_draft(tomllib.loads(TOML))
    event = draft.lines_event(NOAA_METRICS, SETTING.event_ids)
    assert event == fix_terms(draft, SETTING).event(0, 5)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("2026-09-22T00:00:00Z", "2026-09-22T00:00:00", "draft.entries_close"),
        ('metrics = ["temp_high", "temp_low"]', 'metrics = ["temp_hi"]', "draft.metrics"),
        ("entry_fee = 20000", 'entry_fee = "20000"', "draft.entry_fee"),
        ("entry_fee = 20000", "entry_fe = 20000", "draft"),
        ("maximum_entries = 5", "maximum_entries = 26", "terms.entries.maximum"),
        ("2026-09-22T00:00:00Z", "2026-09-21T00:00:00Z", "terms.schedule.entries_close"),
    ],
)
def test_a_wrong_file_names_the_field(old, new, field):
    assert old in TOML
    with pytest.raises(InvalidInput) as caught:
        fix_terms(read_draft(tomllib.loads(TOML.replace(old, new))), SETTING)
    assert caught.value.field == field
