"""Making a competition: one for a key, nothing of a refused one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine import codec
from coordinator.engine.apply import InvariantViolation
from coordinator.engine.commands.create import create_competition
from coordinator_core.competition.draft import Draft
from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.errors import Fault, InvalidInput, Refused

DRAFT: dict[str, Any] = {
    "title": "Rain",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high"],
    "values_per_entry": 1,
    "entries_close": "2023-11-16T00:00:00Z",
    "observation_start": "2023-11-17T00:00:00Z",
    "observation_end": "2023-11-18T00:00:00Z",
    "signing_date": "2023-11-18T01:00:00Z",
    "entry_fee": 50_000,
    "minimum_entries": 3,
    "maximum_entries": 5,
    "oracle_url": "http://127.0.0.1:9800",
    "keymeld_gateway": "http://127.0.0.1:8090",
}


async def create(house: Any, key: str = "key", **changes: Any) -> str:
    draft = msgspec.convert({**DRAFT, **changes}, Draft)
    return await create_competition(house.store, house.clockwork, house.wakeups, draft, key)


async def test_the_draft_is_kept_with_nine_event_ids_and_the_terms_are_wanted(house: Any) -> None:
    lane = await create(house)
    record = await house.store.lane(lane)
    drafted = record.facts.get(f.Drafted)
    assert msgspec.json.decode(drafted.draft, type=Draft) == msgspec.convert(DRAFT, Draft)
    assert len(set(drafted.event_ids)) == ATTEMPTS + 1
    assert drafted.closes_at == 1_700_092_800
    assert isinstance(codec.decode_state(record.state), s.Created)
    assert await house.duties(lane) == {"oracle.publish_terms/"}
    assert house.wakeups.duties.is_set()


async def test_the_same_key_is_one_competition_whatever_is_asked_for_then(house: Any) -> None:
    first = await create(house)
    assert await create(house, title="Snow") == first
    assert await create(house, "other") != first


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "mainnet"},
        {"keymeld_pcrs": [{"index": 0, "value": "00" * 48}]},
        {"network": "mainnet", "keymeld_pcrs": [{"index": 0, "value": "00" * 48}]},
    ],
)
async def test_nothing_is_promised_that_nobody_verifies(house: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="attestation of enclaves is not verified") as caught:
        await create(house, **changes)
    assert (caught.value.field, caught.value.fault) == ("draft.keymeld_pcrs", Fault.COORDINATOR)
    assert await house.store.lanes() == []
    assert await house.rows("SELECT * FROM inbox") == []


async def test_nothing_is_left_when_the_first_step_fails(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def contradict(*parts: object) -> None:
        raise InvariantViolation("contradiction")

    with monkeypatch.context() as patch:
        patch.setattr("coordinator.engine.commands.create.apply_lane", contradict)
        with pytest.raises(InvariantViolation):
            await create(house)
    assert await house.store.lanes() == []
    assert await create(house) in await house.store.lanes()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entries_close": "2023-11-01T00:00:00Z"}, "terms.schedule.entries_close"),
        ({"entries_close": "2023-11-16T20:00:00Z"}, "terms.schedule.entries_close"),
        ({"observation_end": "2023-11-17T00:00:00Z"}, "terms.observation.window.end"),
        ({"signing_date": "2023-11-17T23:59:59Z"}, "terms.observation.signing_date"),
        ({"expiry": "2023-11-20T00:59:59Z"}, "terms.contract.expiry"),
    ],
)
async def test_dates_that_no_terms_can_have_are_refused_at_once(
    house: Any, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await create(house, **changes)
    assert caught.value.field == field
    assert await house.store.lanes() == []
    assert await house.rows("SELECT * FROM inbox") == []
    # The refused command took nothing: under its key a draft that is right is a competition.
    assert await create(house) in await house.store.lanes()


@pytest.mark.parametrize("changes", [{"entry_fee": 500}, {"weights": [3, 2, 1]}])
async def test_a_draft_that_nobody_could_play_is_refused_at_once(house: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        await create(house, **changes)
    assert await house.store.lanes() == []


async def test_the_same_key_gets_its_competition_when_its_dates_have_passed(house: Any) -> None:
    first = await create(house)
    assert await create(house, entries_close="2023-11-01T00:00:00Z") == first
