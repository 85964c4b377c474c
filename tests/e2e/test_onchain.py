"""Without the coordinator: a kit, a wallet's preimage, the oracle and an Esplora server bring the prize on chain."""

from __future__ import annotations

import asyncio

import pytest

from coordinator.cli.claim_progress import State, follow
from coordinator.cli.esplora import Esplora
from coordinator.player.claiming import own_script
from coordinator.player.oracle import OracleReader
from coordinator.player.play import Player
from coordinator_core.claim_kit import ClaimDestination, ClaimKit, ClaimPlan, NoPrize, plan_claim
from coordinator_core.transaction import OutPoint
from coordinator_core.units import FeeRate
from tests.e2e.application import Competition, TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

FEE_RATE = FeeRate(500)


async def test_a_winner_claims_after_the_coordinator_died(app: TestApp) -> None:
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
    losers = [player for player in competition.players if player is not winner]
    for loser in losers:
        with pytest.raises(NoPrize):
            await _plan(competition, loser, attestation)
    plan = await _plan(competition, winner, attestation)
    assert plan.missing == ()
    delta = competition.terms.contract.delta
    for step, blocks in enumerate((delta, delta, 1)):
        states = await asyncio.to_thread(_broadcast, app, plan)
        assert states == [State.CONFIRMED] * step + [State.SENT] + [State.WAITING] * (2 - step)
        await app.mine_blocks(blocks)

    await app.start_coordinator()
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    assert (await winner.api.get_json(f"{winner.own}/payout", signed=True))["state"] == "CLAIMED"
    for player in competition.players:
        price = await app.price(competition, player)
        assert -price - price // 20 <= await app.get_entry_balance(competition, player) <= -price
    changes = await app.require_balanced_books(competition)
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
        ticket_preimage=await player.ticket_preimage(),
        entry_key=key,
        destination=ClaimDestination(script, FEE_RATE),
    )


def _broadcast(app: TestApp, plan: ClaimPlan) -> list[State]:
    with Esplora(str(app.services.stack.children["node"].ready["esplora"])) as esplora:
        return [progress.state for progress in follow(plan, esplora, broadcast=True)]
