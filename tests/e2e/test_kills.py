"""The coordinator killed (-9) once in each state, and started again: the competition goes on as if nothing had been."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from coordinator.embedded.oracle.faults import WriteFault
from coordinator_core.competition.schedule import end_of_closing
from tests.e2e.application import Competition, TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

OPENING = ("created", "collecting_entries", "awaiting_escrow", "escrow_confirmed", "event_created", "awaiting_keygen")
CLOSING = ("entries_submitted", "awaiting_signing", "funding_ready", "funding_broadcasted", "funding_confirmed")
PAYING = ("awaiting_attestation", "outcome_broadcasted", "delta_broadcasted", "completed")
SIGNING_PAUSE_SECONDS = 6.0
WINDOWS = {"sealing": 120, "entries": 120, "approvals": 120, "signatures": 120, "kickoff_grace": 60}
"""Long, for a killed coordinator starts slowly on a busy machine and no attempt may end for that; a window ends as
soon as all are done."""


class Killer:
    """Holds a competition in a state by taking away what would let it go on, kills there, gives it back."""

    def __init__(self, app: TestApp, states: tuple[str, ...]) -> None:
        self._app = app
        self._left = list(states)
        self._holds: dict[str, Callable[[bool], Awaitable[None]]] = {
            "created": self._oracle_away,
            "awaiting_escrow": self._lightning_away,
            "escrow_confirmed": self._oracle_away,
            "event_created": self._no_writes,
            "entries_submitted": self._no_writes,
            "awaiting_signing": self._slow_signing,
            "funding_ready": self._lightning_away,
            "funding_confirmed": self._lightning_away,
            "returning": self._lightning_away,
        }

    async def _oracle_away(self, held: bool) -> None:
        self._app.oracle.away = held

    async def _no_writes(self, held: bool) -> None:
        self._app.oracle.faults.set(WriteFault.REFUSED if held else WriteFault.NONE, 1_000)

    async def _lightning_away(self, held: bool) -> None:
        await self._app.services.lightning_away(held)

    async def _slow_signing(self, held: bool) -> None:
        if held:
            order = {"kind": "slow", "operation": "signing", "seconds": SIGNING_PAUSE_SECONDS, "times": 1}
            await self._app.services.keymeld_fault(**order)

    async def _hold(self, state: str, held: bool) -> None:
        if state in self._holds:
            await self._holds[state](held)

    async def hold(self, state: str) -> None:
        """Let the competition stay in a state, if it is to be killed there."""
        if state in self._left:
            await self._hold(state, True)

    async def kill(self, name: str, state: str, then: str = "") -> None:
        """Kill in a state; `then` is held before this one is given back."""
        if state not in self._left:
            return
        await self._app.until(name, state)
        self._app.kill_coordinator()
        self._left.remove(state)
        if self._holds.get(state) == self._lightning_away:
            # A coordinator does not start without its Lightning node.
            await self.hold(then)
            await self._hold(state, False)
            await self._app.start_coordinator()
        else:
            await self._app.start_coordinator()
            await self.hold(then)
            await self._hold(state, False)

    def require_done(self) -> None:
        """Every state that was asked for was met."""
        assert self._left == []


@pytest.mark.parametrize("states", [OPENING, CLOSING, PAYING], ids=["opening", "closing", "paying"])
async def test_a_killed_coordinator_goes_on(app: TestApp, states: tuple[str, ...]) -> None:
    killer = Killer(app, states)
    competition = await _open(app, killer)
    await _close(app, killer, competition)
    await _fund(app, killer, competition)
    await _pay(app, killer, competition)
    killer.require_done()
    assert await app.ticket_states(competition) == ["SETTLED"] * 3
    await app.require_balanced_books(competition)


async def _open(app: TestApp, killer: Killer) -> Competition:
    await killer.hold("created")
    name = await app.draft_competition(entries=3, scoring="lines", closing=WINDOWS)
    await killer.kill(name, "created")
    await app.until(name, "collecting_entries")
    competition = await app.adopt(name)
    await app.add_entry(competition)
    await killer.kill(name, "collecting_entries")
    await app.join_all(competition, 2)
    await killer.hold("awaiting_escrow")
    await app.close_entries(competition)
    await killer.kill(name, "awaiting_escrow", then="escrow_confirmed")
    await killer.kill(name, "escrow_confirmed", then="event_created")
    await killer.kill(name, "event_created")
    await killer.kill(name, "awaiting_keygen")
    return competition


async def _close(app: TestApp, killer: Killer, competition: Competition) -> None:
    await app.wait_for_state(competition, "awaiting_keygen")
    await killer.hold("entries_submitted")
    async with asyncio.timeout(240), asyncio.TaskGroup() as group:
        group.create_task(app.keep_appointments(competition))
        await killer.kill(competition.id, "entries_submitted", then="awaiting_signing")
        await killer.kill(competition.id, "awaiting_signing", then="funding_ready")
        await killer.kill(competition.id, "funding_ready")
    await app.wait_for_state(competition, "funding_broadcasted")


async def _fund(app: TestApp, killer: Killer, competition: Competition) -> None:
    await killer.kill(competition.id, "funding_broadcasted")
    await app.wait_for_funding(competition)
    await killer.hold("funding_confirmed")
    await app.mine_blocks()
    await killer.kill(competition.id, "funding_confirmed")
    await app.wait_for_state(competition, "awaiting_attestation")
    await killer.kill(competition.id, "awaiting_attestation")


async def _lost_reservations(app: TestApp, competition: Competition) -> list[str]:
    """Attempts that ended as they should: a kill took the answer to a reservation, which keymeld gives nobody again."""
    return [line for line in await app.reasons(competition) if "the session id is in use" in line]


async def _pay(app: TestApp, killer: Killer, competition: Competition) -> None:
    attempt = await app.attempt(competition)
    assert attempt == 1 + len(await _lost_reservations(app, competition))
    event = competition.terms.oracle.event_ids[attempt]
    app.oracle.queue_attestation(event, Outcome((1,)))
    await app.advance_time(competition.terms.observation.signing_date)
    await killer.kill(competition.id, "outcome_broadcasted")
    await app.wait_for_state(competition, "outcome_broadcasted")
    await app.confirm_first(competition)
    winner = next(player for player in competition.players if player.entry_id == competition.order[1])
    # The key is kept, so that the output is split and bought back, the longer way.
    assert await winner.take_prize(keep_key=True) == "PAID"
    await app.mine_blocks(competition.terms.contract.delta)
    await killer.kill(competition.id, "delta_broadcasted")
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await killer.kill(competition.id, "completed")
    await app.wait_for_state(competition, "completed")
    assert (await winner.api.get_json(f"{winner.own}/payout", signed=True))["state"] == "PAID"


async def test_a_killed_coordinator_goes_on_after_the_expiry(app: TestApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.advance_time(competition.terms.contract.expiry)
    await app.wait_for_state(competition, "expiry_broadcasted")
    await app.restart_coordinator()
    await app.confirm_first(competition)
    assert set((await app.take_prizes(competition)).values()) == {"PAID"}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)


async def test_a_killed_coordinator_goes_on_giving_tickets_back(app: TestApp) -> None:
    killer = Killer(app, ("returning", "cancelled"))
    competition = await app.create_competition(entries=3)
    await app.join_all(competition, 2)
    await killer.hold("returning")
    await app.cancel(competition, "the weather is bad")
    await killer.kill(competition.id, "returning")
    await killer.kill(competition.id, "cancelled")
    assert await app.wait_for_state(competition, "cancelled")
    killer.require_done()
    assert await app.ticket_states(competition) == ["CANCELED"] * 2
    assert await app.require_balanced_books(competition) == {}


async def test_a_killed_coordinator_remembers_a_failure(app: TestApp) -> None:
    killer = Killer(app, ("failed",))
    competition = await app.create_competition(entries=3)
    await app.join_all(competition, 3)
    app.oracle.away = True
    await app.close_entries(competition)
    await app.wait_for_state(competition, "escrow_confirmed")
    # The oracle stays away until the closing is over.
    await app.chain.pass_until(end_of_closing(competition.terms.schedule))
    await killer.kill(competition.id, "failed")
    assert await app.wait_for_state(competition, "failed")
    app.oracle.away = False
    assert await app.ticket_states(competition) == ["CANCELED"] * 3
    assert await app.require_balanced_books(competition) == {}
