"""LND cancels a hold by itself before the funding: a drop. The others go on if they are enough."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest
import pytest_asyncio

from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet
from coordinator_core.units import Sats
from tests.e2e.application import DAY, HOUR, Competition
from tests.e2e.mock_oracle import Outcome
from tests.e2e.waiting import PATIENCE_SECONDS, wait_for
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.failures.lightning import invoice_states

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

CANCEL_DELTA = 18
"""Blocks before its expiry at which LND 0.21 cancels a hold, and what the coordinator counts with."""
EARLIER_DELTA = 80
"""What `invoices.holdexpirydelta` is raised to behind the coordinator's back."""
LATE_BLOCKS = 6
"""How much later than their invoices were made the other players pay: their holds last as much longer."""
UNHURRIED = {"sealing": 90, "entries": 40, "approvals": 90, "signatures": 40, "kickoff_grace": 60}


@dataclass(slots=True)
class LatePayer:
    """A wallet whose owner hesitates: some blocks are mined before each payment."""

    wallet: LightningWallet
    app: RealApp

    def __getattr__(self, name: str) -> object:
        return getattr(self.wallet, name)

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """See Wallet."""
        await self.app.mine_blocks(LATE_BLOCKS)
        await self.wallet.pay_held(payment_request, fee_limit)


@pytest_asyncio.fixture(loop_scope="session")
async def impatient_node(app: RealApp) -> AsyncIterator[RealApp]:
    """The application; LND's options as they were, after the test."""
    before = list(app.coordinator_node.options)
    yield app
    if app.coordinator_node.options != before:
        await _restart_lightning(app, before)


async def test_the_competition_goes_on_without_a_lost_hold(impatient_node: RealApp) -> None:
    app = impatient_node
    competition = await _sell(app, minimum=2)
    lost, *kept = competition.players
    async with asyncio.timeout(2 * PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        kits = await _lose_first_hold(app, competition, group)
        await app.wait_for_state(competition, "funding_broadcasted")
    assert [kits[player.entry_id].result() is None for player in competition.players] == [True, False, False]
    assert await app.attempt(competition) == 2
    assert await invoice_states(app, lost, *kept) == ["CANCELED", "ACCEPTED", "ACCEPTED"]
    await app.confirm_funding(competition)
    assert await invoice_states(app, lost, *kept) == ["CANCELED", "SETTLED", "SETTLED"]

    competition.players = kept
    await app.attest(competition, Outcome((1,)))
    states = await app.take_prizes(competition)
    assert states == {e: "PAID" if e == competition.order[1] else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    competition.players = [lost, *kept]
    assert await app.get_entry_balance(competition, lost) == 0
    await require_daemon_books(app, competition)


async def test_the_competition_is_returned_when_too_few_holds_are_left(impatient_node: RealApp) -> None:
    app = impatient_node
    competition = await _sell(app, minimum=3)
    async with asyncio.timeout(2 * PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        kits = await _lose_first_hold(app, competition, group)
        await app.wait_for_state(competition, "cancelled")
    assert all(kit.result() is None for kit in kits.values())
    assert await invoice_states(app, *competition.players) == ["CANCELED"] * 3
    shown = await app.show(competition.id)
    assert shown is not None
    assert "1 holds were lost before the funding" in shown["reason"]
    assert await require_daemon_books(app, competition) == {}


async def test_holds_that_outlast_an_absent_coordinator_are_given_back(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.join_all(competition, 3)
    await app.close_entries(competition)
    await app.wait_for_state(competition, "awaiting_keygen")
    app.kill_coordinator()
    [expiry] = await _expiry_heights(app, competition)
    await app.mine_blocks(expiry - CANCEL_DELTA - 1 - await app.chain.height())
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3
    await app.mine_blocks()
    await _wait_for_states(app, competition.players, ["CANCELED"] * 3)
    await app.start_coordinator()
    await app.wait_for_state(competition, "failed", "cancelled")
    assert await app.ticket_states(competition) == ["CANCELED"] * 3
    assert await require_daemon_books(app, competition) == {}


async def _sell(app: RealApp, minimum: int) -> Competition:
    """Three tickets, the first of which is held less long than the others; LND's own delta is raised afterwards."""
    start = await app.chain.refresh()
    competition = await app.create_competition(
        entries=3,
        minimum=minimum,
        closing=UNHURRIED,
        entries_close=_iso(start + 6 * HOUR),
        observation_start=_iso(start + DAY),
        observation_end=_iso(start + 2 * DAY),
        signing_date=_iso(start + 2 * DAY + HOUR),
    )
    await app.add_entry(competition)
    for _ in range(2):
        await _join_late(app, competition)
    assert len(await _expiry_heights(app, competition)) > 1
    await _restart_lightning(app, [*app.coordinator_node.options, f"--invoices.holdexpirydelta={EARLIER_DELTA}"])
    return competition


async def _join_late(app: RealApp, competition: Competition) -> None:
    player = await app.new_player(competition)
    wallet = player.wallet
    assert isinstance(wallet, LightningWallet)
    player.wallet = LatePayer(wallet, app)  # type: ignore[assignment]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await player.join(app.picks(competition, len(competition.players)))
    player.wallet = wallet
    competition.players.append(player)


async def _lose_first_hold(
    app: RealApp, competition: Competition, group: asyncio.TaskGroup
) -> dict[str, asyncio.Task[object]]:
    """In the closing, while one player still has to seal, LND cancels that player's hold; then it seals as well.

    What becomes of each player's appointment, by entry id; the tasks are the group's.
    """
    first, *others = competition.players
    await app.close_entries(competition)
    kits: dict[str, asyncio.Task[object]] = {
        player.entry_id: group.create_task(player.keep_appointment()) for player in others
    }
    await app.wait_for_state(competition, "awaiting_keygen")
    shortest = min(await _expiry_heights(app, competition))
    await app.mine_blocks(shortest - EARLIER_DELTA - await app.chain.height())
    await _wait_for_states(app, [first, *others], ["CANCELED", "ACCEPTED", "ACCEPTED"])
    kits[first.entry_id] = group.create_task(first.keep_appointment())
    return kits


async def _expiry_heights(app: RealApp, competition: Competition) -> set[int]:
    """Heights at which the HTLCs of the tickets expire."""
    node = app.coordinator_node
    listed = await app.services.blocking(node.get, "/v1/invoices", pending_only="true", num_max_invoices=1_000)
    wanted = {player.ticket_hash for player in competition.players}
    mine = [one for one in listed["invoices"] if _hex(one["r_hash"]) in wanted]
    return {htlc["expiry_height"] for one in mine for htlc in one["htlcs"]}


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


async def _wait_for_states(app: RealApp, players: list[Player], states: list[str]) -> None:
    async def seen() -> bool:
        return await invoice_states(app, *players) == states

    await wait_for(seen, f"LND to say {states}")


async def _restart_lightning(app: RealApp, options: list[str]) -> None:
    node = app.coordinator_node
    await app.services.blocking(node.stop)
    node.options = options
    await app.services.blocking(app.rig.rejoin, node)

    async def usable() -> bool:
        """Once more: for a while the coordinator goes by what it saw last, and sells nothing."""
        return not msgspec.json.decode(await app.services.public("/status"))["away"]

    await wait_for(usable, "services that can be relied on")


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
