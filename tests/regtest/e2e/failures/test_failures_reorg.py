"""Three blocks with the funding leave the chain: it is awaited again, and no ticket is settled meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.e2e.application import Competition
from tests.e2e.chain import ANYONE
from tests.e2e.mock_oracle import Outcome
from tests.e2e.waiting import wait_for
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.failures.lightning import invoice_states, require_settled_once

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

DEPTH = 3


async def test_three_blocks_around_the_funding_are_replaced(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    funding = await app.wait_for_funding(competition)
    # Without Lightning no ticket can be settled: the competition stays where a reorganisation matters most.
    await app.services.lightning_away(True)
    await app.mine_blocks(DEPTH)
    await app.wait_for_state(competition, "funding_confirmed")
    watched, first = _watched(app, competition, funding), await _hit(app, competition, funding)

    await _replace(app, funding)
    await app.wait_for_state(competition, "funding_broadcasted")
    assert _hits(app, competition, funding) == []
    assert _watched(app, competition, funding) == watched, "nothing is watched twice, nothing is forgotten"
    await app.services.lightning_away(False)
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3

    await app.wait_for_funding(competition)
    await app.confirm_funding(competition)
    assert (await app.transitions(competition)).count("funding_confirmed") == 2
    second = await _hit(app, competition, funding)
    assert second != first
    assert second[1] == await app.chain.height()
    await require_settled_once(app, *competition.players)

    await app.attest(competition, Outcome((0,)))
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await require_daemon_books(app, competition)


async def _replace(app: RealApp, funding: str) -> None:
    """DEPTH blocks leave, as many and one more come, none of which holds the funding."""
    tip = await app.chain.height()
    first = tip - await app.chain.confirmations(funding) + 1
    assert tip - first + 1 == DEPTH
    await app.chain.invalidate(first)
    # LND follows a chain that becomes longer, as any that it meets does; it is asked when this one has.
    for _ in range(DEPTH + 1):
        await app.services.rpc("generateblock", ANYONE, [])
    await app.services.blocking(app.rig.wait_synced)
    await app.chain.refresh()
    assert await app.chain.height() == tip + 1
    assert await app.chain.confirmations(funding) == 0


def _rows(app: RealApp, query: str, *values: str) -> list[tuple[str, int]]:
    path = app.coordinator_directory / "coordinator.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(query, values).fetchall()


def _watched(app: RealApp, competition: Competition, funding: str) -> list[tuple[str, int]]:
    """Watches of the funding, its outputs among them, and how many there are of each."""
    rows = _rows(
        app,
        "SELECT key, count(*) FROM watch WHERE lane = ? AND key LIKE ? AND backfilled = 1 GROUP BY key ORDER BY key",
        competition.id,
        f"{funding}%",
    )
    assert (funding, 1) in rows
    return rows


def _hits(app: RealApp, competition: Competition, funding: str) -> list[tuple[str, int]]:
    """Blocks that are recorded to hold the funding, by hash and height."""
    return _rows(
        app,
        "SELECT b.hash, b.height FROM chain_hit h JOIN chain_block b ON b.hash = h.block_hash "
        "WHERE h.lane = ? AND h.keytype = 't' AND h.key = ?",
        competition.id,
        funding,
    )


async def _hit(app: RealApp, competition: Competition, funding: str) -> tuple[str, int]:
    async def one() -> list[tuple[str, int]]:
        return _hits(app, competition, funding)

    [hit] = await wait_for(one, "the funding's block")
    return hit
