"""An outcome signed when blocks were cheap, and a mempool that is full since: a child pays for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from coordinator_core.transaction import PAY_TO_ANCHOR, Transaction
from tests.e2e.chain import with_inputs
from tests.e2e.mock_oracle import Outcome
from tests.e2e.waiting import wait_for
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

FLOOR = 12
"""sat/vB below which the mempool takes nothing; the contract was signed at about a sixth of that."""
MOST_BLOCKS = 12
"""The mempool is about as large as eight blocks."""


LESSONS: Final = 20
FORGETTING: Final = 200
"""Empty blocks after which what was paid before counts for nothing in an estimate for six blocks."""


@pytest_asyncio.fixture(loop_scope="session")
async def calm_again(app: RealApp) -> AsyncIterator[RealApp]:
    """The application; after the test the mempool is empty, and the node estimates what it did before."""
    before = await _estimate(app)
    yield app
    await app.services.blocking(app.rig.lower_floor)
    await app.services.blocking(app.rig.mine, FORGETTING)
    for _ in range(LESSONS):
        await app.services.blocking(app.rig.teach_fees, max(1, round(before)))
        if await _estimate(app) <= before * 5 / 4:
            return
    raise AssertionError(f"the node still estimates {await _estimate(app)} sat/vB, before it was {before}")


async def _estimate(app: RealApp) -> float:
    """For six blocks, in sat/vB."""
    return float((await app.services.rpc("estimatesmartfee", 6))["feerate"]) * 100_000


async def test_an_outcome_below_the_mempool_floor_goes_as_a_package(calm_again: RealApp) -> None:
    app = calm_again
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.advance_time(competition.terms.observation.signing_date)
    # Only now: each block of a day that passes would lower the floor.
    floor = await app.services.blocking(app.rig.raise_floor, FLOOR)
    event = competition.terms.oracle.event_ids[await app.attempt(competition)]
    app.oracle.queue_attestation(event, Outcome((1,)))
    await app.wait_for_state(competition, "outcome_broadcasted")
    outcome = await wait_for(lambda: app.get_outcome_tx(competition), "the outcome in the node")
    parent = outcome.txid[::-1].hex()
    child = await wait_for(lambda: _anchor_spender(app, outcome), "its child")
    await _require_package(app, parent, child, floor)

    for _ in range(MOST_BLOCKS):
        if await app.is_confirmed(parent):
            break
        await app.mine_blocks()
    assert await app.chain.confirmations(parent) == await app.chain.confirmations(child) > 0
    await app.services.blocking(app.rig.lower_floor)
    states = await app.take_prizes(competition)
    assert states == {e: "PAID" if e == competition.order[1] else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    changes = await require_daemon_books(app, competition)
    assert "anchors" not in changes, "the anchor paid for its own transaction"
    books = await app.services.operator("GET", f"/competitions/{competition.id}/books")
    assert -int(books["fee bumps"]) == (await with_inputs(app.chain, child)).fee


async def _require_package(app: RealApp, parent: str, child: str, floor: int) -> None:
    """The parent alone is below the floor (sat/kvB), both together are not; the node itself counts them as one."""
    pool = await app.services.rpc("getmempoolinfo")
    assert round(pool["mempoolminfee"] * 100_000_000) >= floor
    both = [await with_inputs(app.chain, txid) for txid in (parent, child)]
    alone, together = both[0], sum(one.fee for one in both) * 1_000 / sum(one.transaction.vsize for one in both)
    assert alone.fee * 1_000 / alone.transaction.vsize < floor <= together
    assert (await app.services.rpc("getmempoolentry", parent))["descendantcount"] == 2


async def _anchor_spender(app: RealApp, parent: Transaction) -> str | None:
    index = next(n for n, output in enumerate(parent.outputs) if output.script_pubkey == PAY_TO_ANCHOR)
    return await app.chain.spender(parent.outpoint(index))
