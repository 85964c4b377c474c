"""From open to the last payment: one place, both scorings."""

from __future__ import annotations

import pytest

from coordinator_core.competition.payouts import payouts_at
from tests.e2e.application import TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("scoring", ["fixed", "lines"])
async def test_three_entries_one_place(app: TestApp, scoring: str) -> None:
    competition = await app.create_competition(entries=3, scoring=scoring)
    assert bool(competition.terms.scoring.lines) == (scoring == "lines")
    await app.sell_and_sign(competition, 3)
    assert await app.ticket_states(competition) == ["ACCEPTED"] * 3
    await app.confirm_funding(competition)
    assert await app.ticket_states(competition) == ["SETTLED"] * 3

    await app.attest(competition, Outcome((1,)))
    contract = await app.contract(competition)
    outcome = await app.get_outcome_tx(competition)
    assert outcome is not None
    assert outcome.txid == contract.outcome_txid(contract.outcomes[1])
    states = await app.take_prizes(competition)
    winner = competition.order[1]
    assert states == {e: "PAID" if e == winner else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)

    [payout] = payouts_at(competition.terms, 3, 1)
    for player in competition.players:
        price = await app.price(competition, player)
        gained = await app.get_entry_balance(competition, player)
        prize = payout.net if player.entry_id == winner else 0
        # A ticket's routing fee is at most a twentieth of the price, the player's own limit.
        assert prize - price - price // 20 <= gained <= prize - price
    changes = await app.require_balanced_books(competition)
    assert changes["coordinator, on chain"] + changes["Lightning, coordinator"] > 0
    assert changes["anchors"] == 240 * 1_000
