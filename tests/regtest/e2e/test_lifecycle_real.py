"""From open to the last payment on real daemons: one place, tickets held over two hops."""

from __future__ import annotations

import time
from typing import Any

import pytest

from coordinator.player.play import Player
from coordinator_core.competition.payouts import payouts_at
from tests.e2e.application import Competition
from tests.e2e.books import lightning_account
from tests.e2e.mock_oracle import Outcome
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.lightning_books import invoice
from tests.regtest.e2e.services import COORDINATOR

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_three_entries_one_place(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.wait_for_funding(competition)
    held = await _tickets(app, competition)
    assert [one["state"] for one in held] == ["ACCEPTED"] * 3
    funded_at, before = await app.chain.height() + 1, time.time_ns()

    await app.confirm_funding(competition)
    settled = await _tickets(app, competition)
    assert [one["state"] for one in settled] == ["SETTLED"] * 3
    for one, player in zip(settled, competition.players, strict=True):
        [htlc] = one["htlcs"]
        assert htlc["accept_height"] < funded_at
        assert int(one["settle_date"]) >= before // 1_000_000_000
        await _require_paid_over_two_hops(app, player, before)

    await app.attest(competition, Outcome((1,)))
    states = await app.take_prizes(competition)
    winner = competition.order[1]
    assert states == {e: "PAID" if e == winner else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)

    [payout] = payouts_at(competition.terms, 3, 1)
    for player in competition.players:
        price = await app.price(competition, player)
        gained = await app.get_entry_balance(competition, player)
        prize = payout.net if player.entry_id == winner else 0
        assert prize - price - price // 20 <= gained < prize - price
    changes = await require_daemon_books(app, competition)
    assert changes["coordinator, on chain"] + changes[lightning_account(COORDINATOR)] > 0
    assert changes[lightning_account("router")] > 0
    assert changes["anchors"] == 240 * 1_000


async def _tickets(app: RealApp, competition: Competition) -> list[dict[str, Any]]:
    """The tickets' invoices as the coordinator's node has them."""
    node = app.coordinator_node
    return [await app.services.blocking(invoice, node, player.ticket_hash) for player in competition.players]


async def _require_paid_over_two_hops(app: RealApp, player: Player, not_before: int) -> None:
    """The player's node got the preimage after `not_before` (nanoseconds), from two hops away."""
    payment = await app.payment(player, "SUCCEEDED")
    [htlc] = [one for one in payment["htlcs"] if one["status"] == "SUCCEEDED"]
    assert int(htlc["resolve_time_ns"]) >= not_before
    hops = [hop["pub_key"] for hop in htlc["route"]["hops"]]
    assert hops == [app.rig["router"].pubkey, app.coordinator_node.pubkey]
