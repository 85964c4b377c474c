"""Without the coordinator: a kit, a wallet's preimage, the oracle and a node of one's own bring the prize on chain."""

from __future__ import annotations

import pytest

from coordinator.player.claiming import FEE_RATE, own_script
from coordinator.player.oracle import OracleReader
from coordinator.player.play import Player
from coordinator_core.claim_kit import ClaimDestination, ClaimKit, ClaimPlan, NoPrize, plan_claim
from coordinator_core.transaction import OutPoint
from tests.e2e.application import Competition
from tests.e2e.mock_oracle import Outcome
from tests.e2e.waiting import wait_for
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.daemon_books import require_daemon_books

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_a_winner_claims_after_the_coordinator_died(app: RealApp) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    assert await app.ticket_states(competition) == ["SETTLED"] * 3
    app.kill_coordinator()

    event = competition.terms.oracle.event_ids[1]
    app.oracle.queue_attestation(event, Outcome((2,)))
    await app.advance_time(competition.terms.observation.signing_date)
    reader = OracleReader(competition.terms.oracle.url)
    attestation = await reader.attestation(str(event))
    await reader.close()
    assert attestation is not None

    winner = next(p for p in competition.players if p.entry_id == competition.order[2])
    for player in competition.players:
        if player is not winner:
            with pytest.raises(NoPrize):
                await _plan(competition, player, attestation)
    plan = await _plan(competition, winner, attestation)
    assert plan.missing == ()
    await _send(app, plan)

    await app.start_coordinator()
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    assert (await winner.api.get_json(f"{winner.own}/payout", signed=True))["state"] == "CLAIMED"
    for player in competition.players:
        price = await app.price(competition, player)
        assert -price - price // 20 <= await app.get_entry_balance(competition, player) < -price
    changes = await require_daemon_books(app, competition)
    last = plan.steps[-1].transaction
    assert changes["claimed"] == last.outputs[0].value * 1_000
    assert await app.chain.spender(OutPoint(last.txid, 0)) is None


async def _plan(competition: Competition, player: Player, attestation: bytes) -> ClaimPlan:
    """From nothing but what the player kept: the kit as a file, its secret, its wallet."""
    assert player.kit is not None
    kit = ClaimKit.from_json(player.kit.to_json())
    key = kit.entry_key(player.keys.secret)
    script = own_script(key)
    competition.claimants.add(script)
    return plan_claim(
        kit,
        attestation,
        ticket_preimage=await wait_for(player.ticket_preimage, "the preimage in the player's wallet"),
        entry_key=key,
        destination=ClaimDestination(script, FEE_RATE),
    )


async def _send(app: RealApp, plan: ClaimPlan) -> None:
    """Each transaction as soon as Bitcoin Core takes it, which is when the plan says and not a block earlier."""
    for step in plan.steps:
        waiting = step.blocks
        if waiting:
            # The parent is in the last block: one fewer than needed makes it "in one more block".
            await app.mine_blocks(waiting - 2)
            refused = await app.chain.refusal(step.transaction)
            assert refused is not None
            assert "non-BIP68-final" in refused
            await app.mine_blocks(1)
        assert await app.chain.refusal(step.transaction) is None
        await app.mine_blocks(1)
        assert await app.chain.confirmations(step.transaction.txid[::-1].hex()) == 1
