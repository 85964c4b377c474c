"""Who is awaited is one answer: page, API, the players' status and the reminders name the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coordinator.domain.competitions.awaited import Clock, Party, Phase
from coordinator.domain.competitions.notices import notices
from coordinator.domain.competitions.states import AwaitingKeygen, AwaitingSigning, Created, EntriesSubmitted
from coordinator.domain.facts import HoldState
from coordinator.engine.apply import world_of
from coordinator.engine.codec import decode_state, lane_of


async def detail(house: Any, lane: str) -> dict[str, Any]:
    answer = await house.browser.get(f"/api/v1/competitions/{lane}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told(house: Any, lane: str, later: int) -> set[str]:
    """Entries that are reminded so many seconds later."""
    record = await house.store.lane(lane)
    world = await world_of(record, house.engine.clock)
    view = lane_of(record, msgspec.structs.replace(world, wall=world.wall + later))
    return {duty.entry_id for duty in notices(decode_state(record.state), view)}


async def test_page_api_and_reminders_name_the_same_players(house: Any) -> None:
    state = AwaitingKeygen(roster=house.ids[:3], attempt=1, event_id=house.ids[0])
    facts = [*house.entries(3, HoldState.ACCEPTED), house.session(3), *house.seals(1)]
    lane = await house.competition(state, facts)
    waiting = (await detail(house, lane))["waiting_for"]
    assert {one["entry_id"] for one in waiting} == set(house.ids[1:3])
    assert {(one["who"], one["phase"], one["clock"]) for one in waiting} == {(Party.PLAYER, Phase.SEAL, Clock.WALL)}
    page = await house.page(lane)
    part = page[page.index('id="awaited-heading"') : page.index('id="entries-heading"')]
    assert {entry for entry in house.ids if entry in part} == set(house.ids[1:3])
    assert await told(house, lane, 12) == set(house.ids[1:3])


@pytest.mark.parametrize(
    ("make", "party", "phase"),
    [
        (lambda ids: Created(), Party.ORACLE, Phase.FIX_TERMS),
        (lambda ids: AwaitingKeygen(roster=ids, attempt=1, event_id="e"), Party.KEYMELD, Phase.OPEN_SESSION),
        (lambda ids: EntriesSubmitted(roster=ids, attempt=1, event_id="e"), Party.ORACLE, Phase.SUBMIT_ENTRIES),
        (
            lambda ids: AwaitingSigning(roster=ids, attempt=1, event_id="e", funding_txid="f" * 64),
            Party.KEYMELD,
            Phase.OPEN_BATCHES,
        ),
    ],
)
async def test_a_service_that_keeps_everyone_waiting_is_named_and_nobody_is_reminded(
    house: Any, make: Any, party: Party, phase: Phase
) -> None:
    state = make(tuple(house.ids[:3]))
    facts = house.entries(3, HoldState.ACCEPTED)
    lane = await (house.bare(state) if isinstance(state, Created) else house.competition(state, facts))
    (one,) = (await detail(house, lane))["waiting_for"]
    assert (one["who"], one["phase"], one["entry_id"]) == (party, phase, None)
    assert isinstance(one["until"], int)
    assert one["what"]
    assert one["what"] in await house.page(lane)
    assert await told(house, lane, 1_000) == set()


async def test_a_stopped_competition_says_that_the_operator_is_awaited(house: Any) -> None:
    state = AwaitingKeygen(roster=tuple(house.ids[:3]), attempt=1, event_id="e")
    lane = await house.competition(state, house.entries(3, HoldState.ACCEPTED))
    async with house.store.write() as tx:
        await tx.quarantine(lane, "a secret reason", house.now)
    shown = await detail(house, lane)
    assert [(one["who"], one["phase"]) for one in shown["waiting_for"]] == [(Party.OPERATOR, Phase.LOOK)]
    assert "a secret reason" not in str(shown)
