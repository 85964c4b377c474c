"""Coordinator, LND and bitcoind end and come back while tickets are held: each is settled exactly once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.application import Competition
from tests.e2e.mock_oracle import Outcome
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.failures.lightning import invoice_states, require_settled_once
from tests.regtest.e2e.failures.lightning_proxy import LightningProxy
from tools.regtest import Bitcoind, Lnd

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_a_killed_coordinator_and_a_killed_lnd_settle_each_ticket_once(app: RealApp) -> None:
    competition = await _funded(app)
    app.kill_coordinator()
    await app.services.blocking(app.coordinator_node.kill)
    # The funding confirms while nobody is there to see it.
    await app.mine_blocks()
    await app.services.blocking(app.rig.rejoin, app.coordinator_node)
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3
    await app.start_coordinator()
    await _finish(app, competition)


async def test_a_settlement_that_the_coordinator_did_not_live_to_record_is_not_repeated(app: RealApp) -> None:
    competition = await _funded(app)
    async with LightningProxy(app.services.stack, app.coordinator_node) as proxy:
        app.kill_coordinator()
        with proxy.in_front():
            await app.start_coordinator()
        killed = proxy.kill_after("/v2/invoices/settle", app.kill_coordinator)
        await app.mine_blocks()
        assert await killed == 200
    assert "SETTLED" in await invoice_states(app, *competition.players)
    await app.services.blocking(app.coordinator_node.kill)
    await app.services.blocking(app.rig.rejoin, app.coordinator_node)
    await app.start_coordinator()
    await _finish(app, competition)


@pytest.mark.parametrize("how", [Lnd.kill, Lnd.stop], ids=["killed", "stopped"])
async def test_tickets_wait_for_an_lnd_that_is_away_when_the_funding_confirms(
    app: RealApp, how: Callable[[Lnd], None]
) -> None:
    competition = await _funded(app)
    await app.services.blocking(how, app.coordinator_node)
    await app.mine_blocks()
    await app.wait_for_state(competition, "funding_confirmed")
    app.kill_coordinator()
    await app.services.blocking(app.rig.rejoin, app.coordinator_node)
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3
    await app.start_coordinator()
    await _finish(app, competition)


@pytest.mark.parametrize("how", [Bitcoind.kill, Bitcoind.stop], ids=["killed", "stopped"])
async def test_a_funding_survives_the_restart_of_bitcoind(app: RealApp, how: Callable[[Bitcoind], None]) -> None:
    competition = await _funded(app)
    await app.services.blocking(app.rig.restart_chain, how=how)
    # Killed, bitcoind forgot its mempool; announced again, the funding confirms in one block more.
    await app.wait_for_funding(competition)
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3
    await app.mine_blocks()
    await _finish(app, competition)


async def _funded(app: RealApp) -> Competition:
    """A competition of three whose funding is with the node, unconfirmed; every ticket is held."""
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.wait_for_funding(competition)
    assert await invoice_states(app, *competition.players) == ["ACCEPTED"] * 3
    return competition


async def _finish(app: RealApp, competition: Competition) -> None:
    await app.wait_for_state(competition, "awaiting_attestation")
    await require_settled_once(app, *competition.players)
    await app.attest(competition, Outcome((1,)))
    states = await app.take_prizes(competition)
    assert states == {e: "PAID" if e == competition.order[1] else "lost" for e in competition.order}
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await require_settled_once(app, *competition.players)
    await require_daemon_books(app, competition)
