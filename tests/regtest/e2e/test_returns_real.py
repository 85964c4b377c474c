"""Everyone gets back what is theirs, on real daemons: under-filled, a tie, an oracle that stays silent."""

from __future__ import annotations

import pytest

from tests.e2e.application import Competition
from tests.e2e.mock_oracle import Outcome
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.lightning_books import invoice

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_an_under_filled_competition_gives_every_hold_back(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.join_all(competition, 2)
    prices = [await app.price(competition, player) for player in competition.players]
    # Each ticket is held on two hops, on the first with the router's fee.
    assert 2_000 * sum(prices) < (await app.services.ledger())["held_msat"] < 2_100 * sum(prices)
    await app.close_entries(competition)
    await app.wait_for_state(competition, "cancelled")
    for player in competition.players:
        held = await app.services.blocking(invoice, app.coordinator_node, player.ticket_hash)
        assert (held["state"], {htlc["state"] for htlc in held["htlcs"]}) == ("CANCELED", {"CANCELED"})
    # Nothing moved at all: no fee, no routing, nothing on chain.
    assert await require_daemon_books(app, competition) == {}
    for player in competition.players:
        await app.payment(player, "FAILED")


async def test_a_tie_refunds_every_stake_exactly(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome.refund_all(3))
    assert set((await app.take_prizes(competition)).values()) == {"PAID"}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await _require_stakes_back(app, competition)


async def test_a_silent_oracle_ends_in_expiry(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    # The oracle's last moment passes first, the contract's own expiry a day later.
    await app.advance_time(competition.terms.observation.signing_date + 86_400)
    assert await app.wait_for_state(competition, "awaiting_attestation")
    assert await app.get_outcome_tx(competition) is None
    await app.advance_time(competition.terms.contract.expiry)
    await app.wait_for_state(competition, "expiry_broadcasted")
    expiry = await app.confirm_first(competition)
    contract = await app.contract(competition)
    assert expiry.txid == contract.outcome_txid(contract.outcomes[-1])
    assert expiry.lock_time == competition.terms.contract.expiry
    assert set((await app.take_prizes(competition)).values()) == {"PAID"}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await _require_stakes_back(app, competition)


async def _require_stakes_back(app: RealApp, competition: Competition) -> None:
    """No allowance is taken from a stake that goes back: entry fee to the satoshi."""
    stake = competition.terms.money.entry_fee
    for player in competition.players:
        price = await app.price(competition, player)
        gained = await app.get_entry_balance(competition, player)
        assert stake - price - price // 20 <= gained < stake - price
        paid = await player.api.get_json(f"{player.own}/payout", signed=True)
        assert (paid["state"], paid["place"], paid["net"]) == ("PAID", None, stake)
    changes = await require_daemon_books(app, competition)
    assert changes["anchors"] == 240 * 1_000
