"""From open to the last payment on real daemons: one place, tickets held over two hops."""

from __future__ import annotations

import pytest

from tests.e2e.mock_oracle import Outcome
from tests.regtest.e2e.application import RealApp

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_three_entries_one_place(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    assert await app.ticket_states(competition) == ["ACCEPTED"] * 3
    await app.confirm_funding(competition)
    assert await app.ticket_states(competition) == ["SETTLED"] * 3
    await app.attest(competition, Outcome((1,)))
    states = await app.take_prizes(competition)
    winner = competition.order[1]
    assert states == {e: "PAID" if e == winner else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    print(await app.require_balanced_books(competition))
