"""Debts and absences through the engine's own loops: written down once, kept over competitions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.engine.chain import ChainLoop
from coordinator.engine.executors.records import RecordDebtExecutor
from coordinator.engine.executors.registry import executors
from coordinator.engine.executors.secret_names import ticket_secret
from coordinator.engine.new_money import NewMoney, bar_of
from coordinator.engine.worker import Worker
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.debt import DebtReason, DebtReceipt
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds, UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import altered
from tests.support.lanes import Story
from tests.support.ports import GENESIS_TIME, transaction

DAY = 86_400


@asynccontextmanager
async def engine(bench) -> AsyncIterator[None]:
    """Duties and transitions of a house, as the engine runs them."""
    house = bench.house
    # The worker's own clock is the machine's: what is due by the house's must be due by that one.
    assert house.clock.now() < time.time()
    work = executors(bench.services, lambda: NewMoney(None))
    loops = (house.applier.run(), Worker(house.store, house.clockwork, house.wakeups, work).run())
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(house, ready: Callable[[], Awaitable[bool]]) -> None:
    """Look again after each change of a lane."""
    changed = asyncio.Event()
    stop = house.wakeups.listen(lambda _: changed.set())
    async with asyncio.timeout(20):
        while not await ready():
            await changed.wait()
            changed.clear()
    stop()


async def ended_in(house, kind: type[s.Competition]) -> bool:
    return isinstance(await house.state(b.LANE), kind)


async def test_settled_by_the_exception_and_conflicted_is_owed_in_full_with_a_receipt(bench) -> None:
    """Two tickets are settled while the node holds the funding, then a stranger's spend of its coin confirms."""
    house, lightning = bench.house, bench.services.lightning
    house.clock.seconds = GENESIS_TIME
    settled, held = scene.PLAYERS[:2], scene.PLAYERS[2]
    for player in scene.PLAYERS:
        payment_hash = player.ticket_hash.hex()
        await lightning.add_hold_invoice(
            payment_hash, Sats(71_500), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
        )
        lightning.hold(payment_hash, b.DEADLINE + 49)
        await bench.services.secrets.put(b.LANE, ticket_secret(payment_hash), Secret(player.preimage))
    for player in settled:
        await lightning.settle(Secret(player.preimage))
    seats = [fact for player in settled for fact in player.facts(b.terms_with(), HoldState.SETTLED)]
    state = s.FundingBroadcasted(
        roster=scene.ROSTER, attempt=1, event_id=b.EVENT, funding_txid=b.FUNDING, contract=b.CONTRACT
    )
    decided = f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP))
    facts = [*seats, *held.facts(b.terms_with()), b.pinned(), b.posted(), b.built("funding", b.FUNDING), decided]
    await house.lane(state, *facts)
    await house.apply(b.LANE)
    house.chain.mine(transaction(b.STRANGER, b.COIN))
    chain = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=1.0)
    while await chain.step():
        pass
    async with engine(bench):
        await until(house, lambda: ended_in(house, s.Failed))
    assert b.STRANGER in (await house.state(b.LANE)).reason
    record = await house.store.lane(b.LANE)
    owed = {fact.entry_id: fact for fact in record.facts.all(f.Owed)}
    assert {entry_id: fact.amount for entry_id, fact in owed.items()} == {p.name: 71_500 for p in settled}
    assert lightning.invoices[held.ticket_hash.hex()].state.value == "CANCELED"
    for player in settled:
        event = msgspec.json.decode(owed[player.name].receipt, type=Event)
        receipt = msgspec.json.decode(event.content, type=DebtReceipt)
        assert event.pubkey == bench.services.secrets.signing_key("nostr").x_only.hex()
        assert (receipt.reason, receipt.amount, receipt.entry_id) == (DebtReason.TICKET, 71_500, player.id)


async def test_a_ticket_that_is_not_settled_is_no_debt(bench) -> None:
    story = Story().put(*b.seats(("entry-1",), HoldState.CANCELED))
    duty = d.RecordDebt(entry_id="entry-1", payment_hash=b.ticket_hash("entry-1"))
    task = await bench.task(duty, s.Returning(reason="r", ends_in="failed"), story)
    assert (await RecordDebtExecutor(bench.services)(task)).facts == ()


async def test_a_prize_that_was_paid_counts_towards_the_debt(bench) -> None:
    player = scene.PLAYERS[0]
    story = Story().put(*player.facts(b.terms_with(), HoldState.SETTLED))
    story.put(altered(b.payout("entry-1", PrizeState.PAID, amount=Sats(1_500)), entry_id=player.name))
    duty = d.RecordDebt(entry_id=player.name, payment_hash=player.ticket_hash.hex())
    task = await bench.task(duty, s.Returning(reason="r", ends_in="failed"), story)
    [owed] = (await RecordDebtExecutor(bench.services)(task)).facts
    event = msgspec.json.decode(owed.receipt, type=Event)
    assert (owed.amount, msgspec.json.decode(event.content, type=DebtReceipt).amount) == (70_000, 70_000)


async def test_a_missed_closing_bars_in_every_competition_until_a_key_is_sealed_in_another(bench) -> None:
    house, clock = bench.house, bench.house.clock
    clock.seconds = GENESIS_TIME
    player = bytes.fromhex("d" * 64)
    seats = b.seats(state=HoldState.CANCELED)

    async def recorded() -> bool:
        return await bar_of(house.store, player, clock.now()) is not None

    window = b.session(opened_at=GENESIS_TIME)
    await house.lane(b.awaiting_keygen(), *seats, window, b.oracle_event(), wake=True)
    missed_at = clock.seconds = GENESIS_TIME + b.SEALING
    assert await bar_of(house.store, player, clock.now()) is None
    async with engine(bench):
        await until(house, lambda: ended_in(house, s.Cancelled))
        await until(house, recorded)
    assert await bar_of(house.store, player, clock.now()) == missed_at + DAY
    assert await bar_of(house.store, bytes(32), clock.now()) is None
    assert await bar_of(house.store, player, UnixTime(missed_at + DAY)) is None
    await house.lane(s.Created(), name="another competition")
    clock.seconds += 100
    await house.put("another competition", f.Attended(player=player.hex(), at=clock.now()))
    assert await bar_of(house.store, player, clock.now()) is None
