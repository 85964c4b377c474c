"""Two places on real daemons: one winner is paid atomically, the other by any invoice for its preimage."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from coordinator.player.play import Player
from coordinator.player.tickets import sign_own
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.competition.player_keys import payout_preimage
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.oracle.outcomes import ranking_index
from coordinator_core.receipts.debt import DebtReason, verify_debt
from tests.e2e.application import Competition
from tests.e2e.mock_oracle import Outcome
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.lightning_books import payments, payout_hash

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

RANKING = (3, 0)


async def test_five_entries_two_places(app: RealApp) -> None:
    competition = await app.create_competition(entries=5, places=2)
    await app.sell_and_sign(competition, 5)
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome(RANKING))
    first, second = (_player(competition, index) for index in RANKING)
    assert await first.take_prize() == "PAID"
    assert await second.take_prize(plain=True) == "PAID"
    await _require_atomic(app, first)
    await _require_preimage_first(app, competition, second)
    assert {await p.take_prize() for p in competition.players if p not in (first, second)} == {"lost"}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)

    outcome = ContractOutcome(ranking_index(RANKING, 5))
    by_player = {payout.player: payout.net for payout in payouts_at(competition.terms, 5, outcome)}
    assert by_player[3] > by_player[0] > 0
    for index in range(5):
        player = _player(competition, index)
        price, prize = await app.price(competition, player), by_player.get(index, 0)
        assert prize - price - price // 20 <= await app.get_entry_balance(competition, player) < prize - price
    changes = await require_daemon_books(app, competition)
    # Both winners gave their keys: the outcome was closed together, so there was no split and only one anchor.
    assert changes["anchors"] == 240 * 1_000


def _player(competition: Competition, index: int) -> Player:
    return next(player for player in competition.players if player.entry_id == competition.order[index])


async def _require_atomic(app: RealApp, player: Player) -> None:
    """The coordinator's node learnt the payout preimage by paying."""
    assert player.debt_receipt is None
    payment = (await app.services.blocking(payments, app.coordinator_node))[payout_hash(player)]
    secret = payout_preimage(player.keys.secret, UUID(player.entry_id)).reveal()
    assert payment["payment_preimage"] == secret.hex()
    assert payment["payment_hash"] == hashlib.sha256(secret).hexdigest()


async def _require_preimage_first(app: RealApp, competition: Competition, player: Player) -> None:
    """An invoice on a hash of the wallet's own, paid after the debt receipt for the preimage was given."""
    receipt = player.debt_receipt
    assert receipt is not None
    debt = verify_debt(receipt, competition.terms, sign_own(player, competition.terms, player.ticket_hash, 0))
    payment = (await app.services.blocking(payments, app.coordinator_node))[payout_hash(player)]
    secret = payout_preimage(player.keys.secret, UUID(player.entry_id)).reveal()
    assert payment["payment_hash"] != hashlib.sha256(secret).hexdigest()
    assert debt.reason is DebtReason.PRIZE
    assert int(payment["value_sat"]) == debt.amount
    assert int(payment["creation_date"]) >= receipt.created_at
