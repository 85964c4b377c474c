"""The closing when something goes wrong: someone stays away, or keymeld does not sign."""

from __future__ import annotations

import asyncio

import pytest

from coordinator.player.http import ServerRefused
from coordinator.player.play import Player
from tests.e2e.application import CLOSING, TestApp
from tests.e2e.mock_oracle import Outcome
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_who_never_seals_is_dropped_and_the_rest_go_on(app: TestApp) -> None:
    competition = await app.create_competition(entries=4, minimum=3, closing={**CLOSING, "sealing": 5})
    await app.join_all(competition, 4)
    absent = competition.players[1]
    await app.close_entries(competition)
    await app.keep_appointments(competition, absent)
    await app.wait_for_state(competition, "funding_broadcasted")
    assert await app.attempt(competition) == 2
    assert (await app.transitions(competition)).count("awaiting_keygen") == 2
    await app.confirm_funding(competition)
    assert await app.ticket_states(competition) == ["SETTLED", "CANCELED", "SETTLED", "SETTLED"]
    assert await app.get_entry_balance(competition, absent) == 0

    contract = await app.contract(competition)
    staying = sorted(player.entry_id for player in competition.players if player is not absent)
    assert len(contract.parameters.players) == 3
    event = competition.terms.oracle.event_ids[2]
    assert [str(entry.id) for entry in app.oracle.get_entries(event)] == staying
    assert app.oracle.get_entries(competition.terms.oracle.event_ids[1]) == []
    await _require_barred(app, absent, competition.players[0])

    await app.attest(competition, Outcome((0,)))
    states = await app.take_prizes(competition, absent)
    assert states == {entry: "PAID" if entry == staying[0] else "lost" for entry in staying}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)


async def _require_barred(app: TestApp, absent: Player, present: Player) -> None:
    """In every competition for a day, by key; who came is not."""
    other = await app.create_competition(entries=3)
    entries = f"/api/v1/competitions/{other.id}/entries"
    with pytest.raises(ServerRefused, match="new tickets again from") as caught:
        await absent.api.send(entries, {}, dict, signed=True)
    assert (caught.value.status, caught.value.remote) == (409, "competition.barred")
    assert (await present.api.send(entries, {}, dict, signed=True))["entry_id"]


@pytest.mark.parametrize("kind", ["silent", "bad_signature"])
async def test_a_batch_that_hangs_is_signed_again_in_a_spare_session(app: TestApp, kind: str) -> None:
    competition = await app.create_competition(entries=3, closing={**CLOSING, "signatures": 3})
    await app.join_all(competition, 3)
    await app.services.keymeld_fault(kind=kind, operation="signing", times=1)
    await app.close_entries(competition)
    player = competition.players[0]
    sessions: list[dict[str, str | None]] = []

    async def spare_is_named() -> bool:
        path = f"{player.base}/keymeld/status?entry={player.entry_id}"
        sessions[:] = (await player.api.get_json(path, signed=True))["signing_sessions"]
        return len(sessions) == 2

    async with asyncio.TaskGroup() as group:
        group.create_task(app.keep_appointments(competition))
        await wait_for(spare_is_named, "a spare session")
    first, spare = sessions
    assert (first["replaces"], spare["replaces"]) == (None, first["session"])
    await app.confirm_funding(competition)
    # The same attempt and the same keys: nobody was dropped for what keymeld did.
    assert await app.attempt(competition) == 1
    assert (await app.transitions(competition)).count("awaiting_signing") == 1
    await app.attest(competition, Outcome((2,)))
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)
