"""The coordinator is gone: players have their kits, their wallets' preimages, the oracle and Esplora; nothing else."""

from __future__ import annotations

import asyncio
from uuid import UUID

from coordinator.cli.demo.story import Story
from coordinator.cli.demo.world import WorldError
from coordinator.player.claiming import Claimant
from coordinator.player.oracle import OracleReader
from coordinator.player.play import Player
from coordinator_core.claim_kit.plan import NoPrize
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.oracle.outcomes import ranking_at

ATTESTATION_TRIES = 200


async def claim_without_coordinator(story: Story) -> None:
    """Kill the coordinator after SETTLED; every winner claims on chain; a restarted coordinator follows the chain."""
    if story.terms is None:
        raise WorldError("demo", "the terms are not known")
    story.world.stack.children["coordinator"].kill()
    story.report.say("[bold]the coordinator process is killed[/bold]: players go on with what they hold")
    await story.world.pass_until(story.terms.observation.signing_date + 1)
    attestation = await _attestation(story)
    esplora = str(story.world.stack.children["node"].ready["esplora"])
    for number, player in enumerate(story.players, start=1):
        await _claim(story, number, player, attestation, esplora)
    await asyncio.to_thread(story.world.stack.start_coordinator)
    story.report.say("a coordinator that comes back follows what is in the chain")
    await story.until("completed", each=story.world.mine_slowly)


async def _attestation(story: Story) -> bytes:
    if story.terms is None or story.players[0].kit is None:
        raise WorldError("demo", "the players hold no kits")
    oracle = OracleReader(story.terms.oracle.url)
    event_id = str(story.terms.oracle.event_ids[story.players[0].kit.attempt])
    try:
        for _ in range(ATTESTATION_TRIES):
            if (attestation := await oracle.attestation(event_id)) is not None:
                story.report.say(f"the oracle attested event {event_id}; anyone can read it")
                return attestation
            await asyncio.sleep(0.2)
    finally:
        await oracle.close()
    raise WorldError("oracle", "did not attest")


async def _claim(story: Story, number: int, player: Player, attestation: bytes, esplora: str) -> None:
    name = f"player {number}"
    preimage = await player.ticket_preimage()
    if player.kit is None or preimage is None:
        raise WorldError(name, "has no kit or no preimage")
    try:
        claimant = Claimant(player.kit, player.keys.secret, preimage, attestation, esplora)
    except NoPrize:
        story.results.append({"player": name, "place": None, "result": "lost", "paid": 0, "how": "-"})
        return
    try:
        while (step := await claimant.step()) is not None:
            story.report.say(f"  {name} broadcast {step}")
            await story.world.mine(claimant.blocks_to_wait)
    finally:
        await claimant.close()
    story.claimed_onchain += claimant.received
    place = _place(story, player.entry_id, attestation)
    row = {"player": name, "place": place, "result": "CLAIMED", "paid": claimant.received, "how": "on chain, alone"}
    story.results.append(row)


def _place(story: Story, entry_id: str, attestation: bytes) -> int | None:
    player = next(p for p in story.players if p.entry_id == entry_id)
    if player.kit is None or story.terms is None:
        return None
    points = player.kit.signed.contract.parameters.event.locking_points
    outcome = attested_outcome(attestation, points)
    ranking = ranking_at(outcome, len(story.players), story.terms.places)
    order = sorted(UUID(p.entry_id) for p in story.players)
    return None if ranking is None else ranking.index(order.index(UUID(entry_id))) + 1
