"""The stages of a competition in which one player is lied to: how each is reached from the one before."""

from __future__ import annotations

import asyncio

from coordinator_core.nostr import nip44
from coordinator_core.secret import Secret
from tests.e2e.mock_oracle import Outcome
from tests.e2e.tampering import BINDING, Stage
from tests.e2e.waiting import wait_for


async def everyone_else_sealed(selling: Stage) -> Stage:
    """Everyone has a ticket, the honest players have sealed; the victim has not."""
    app, competition = selling.app, selling.competition
    await selling.victim.join(app.picks(competition, 0))
    competition.players.append(selling.victim)
    for _ in range(2):
        selling.honest.append(await app.add_entry(competition))
        selling.honest[-1].say = selling.told.append
    await app.close_entries(competition)
    await app.wait_for_state(competition, "awaiting_keygen")
    selling.tasks.extend(asyncio.create_task(player.keep_appointment()) for player in selling.honest)

    async def others_sealed() -> bool:
        status = await selling.status()
        waiting = [one["entry_id"] for one in status["waiting_for"]]
        return waiting == [selling.victim.entry_id] and status["manifest"] is not None

    await wait_for(others_sealed, "the honest players' seals")
    selling.be_honest()
    return selling


async def batches_open(sealing: Stage) -> Stage:
    """Every batch is at the gateway; the victim has not said ready."""
    victim = sealing.victim
    sealing.be_honest()
    sealing.coordinator.later = ("/ready", "/approvals")
    task = asyncio.create_task(victim.keep_appointment())

    async def compared() -> bool:
        others = [text for text in sealing.told if text.startswith("compared")]
        return "ready" in sealing.coordinator.posted and len(others) == len(sealing.honest)

    await wait_for(compared, "everyone's comparison of an honest contract")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    status = await sealing.status()
    conversation = nip44.conversation_key(
        victim.keys.identity, bytes.fromhex(sealing.competition.terms.coordinator_key)
    )
    sealing.secret = Secret(bytes.fromhex(nip44.decrypt(status["encrypted_session_secret"], conversation)))
    sealing.be_honest()
    return sealing


async def contract_signed(signing: Stage) -> Stage:
    """The contract is signed: the proxy was honest meanwhile, and the victim went on."""
    signing.be_honest()
    async with asyncio.timeout(60):
        await signing.victim.keep_appointment()
        await asyncio.gather(*signing.tasks)
    assert BINDING - {"join"} <= set(signing.coordinator.posted)
    signing.be_honest()
    return signing


async def prize_won(signed: Stage) -> Stage:
    """The victim has a prize."""
    app, competition = signed.app, signed.competition
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome((competition.index_of(signed.victim),)))
    await signed.victim.result()
    signed.be_honest()
    return signed
