"""A reorganisation takes the funding out of the chain: nothing irrevocable happens until it is back."""

from __future__ import annotations

import pytest

from tests.e2e.application import Competition, TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_a_funding_that_is_unconfirmed_is_awaited_again(app: TestApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.wait_for_funding(competition)
    # Without Lightning no ticket can be settled, so the competition stays where a reorganisation matters most.
    await app.services.lightning_away(True)
    await app.mine_blocks()
    await app.wait_for_state(competition, "funding_confirmed")
    await _unconfirm(app, competition)
    await app.wait_for_state(competition, "funding_broadcasted")
    await app.services.lightning_away(False)
    assert await app.ticket_states(competition) == ["ACCEPTED"] * 3

    await app.confirm_funding(competition)
    assert (await app.transitions(competition)).count("funding_confirmed") == 2
    assert await app.ticket_states(competition) == ["SETTLED"] * 3

    # Once tickets are settled there is no way back: the same contract goes on when its funding confirms again.
    await _unconfirm(app, competition)
    await app.wait_for_state(competition, "awaiting_attestation")
    await app.mine_blocks(2)
    await app.attest(competition, Outcome((0,)))
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)


async def _unconfirm(app: TestApp, competition: Competition) -> None:
    """Replace the funding's block by one of the same height that does not hold it."""
    txid = (await app.contract(competition)).outpoint.txid[::-1].hex()
    height = await app.chain.height() - await app.chain.confirmations(txid) + 1
    await app.chain.invalidate(height)
    await app.chain.mine_without_transactions()
    assert await app.chain.confirmations(txid) == 0
    assert await app.chain.height() == height
