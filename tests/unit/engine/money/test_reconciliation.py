"""Database, chain and Lightning compared: differences become facts, contradictions stop what they concern."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.chain import ChainLoop
from coordinator.engine.money import office
from coordinator.engine.operators.attention import Kind
from coordinator.engine.reconciliation.run import Comparison
from coordinator.ports.faults import Unreachable
from coordinator.ports.following import BlockHeader, Hit, Watch
from coordinator.ports.lightning import InvoiceState, ListedInvoice
from coordinator_core.errors import Fault
from coordinator_core.units import Height, Sats, UnixTime
from tests.support import lanes as b
from tests.support.ports import transaction

HOUR = 3_600.0
OPEN = s.CollectingEntries(terms_hash="h")
HASH = b.ticket_hash("entry-1")
ENTRY = d.CreateInvoice(entry_id="entry-1", generation=1, payment_hash=HASH)
PAY = d.PayPrize(entry_id="entry-1", payment_hash="aa" * 32, cltv_limit=0)
FUND = d.Broadcast(role="funding", attempt=1, contract=b.CONTRACT)
PROTECTIVE = (
    d.SettleInvoice(entry_id="entry-1", payment_hash=HASH),
    d.CancelInvoice(payment_hash=HASH),
    d.WatchInvoice(payment_hash=HASH),
    d.Broadcast(role="outcome", attempt=1, contract=b.CONTRACT),
    d.Broadcast(role="expiry", attempt=1, contract=b.CONTRACT),
    d.PollAttestation(attempt=1, event_id=b.EVENT, entries=3),
)


class TestGate:
    @pytest.mark.parametrize("duty", [ENTRY, PAY, FUND])
    async def test_no_money_moves_before_everything_was_compared(self, desk: Any, duty: d.Duty) -> None:
        assert "compared (0 of 4)" in desk.gate(duty)
        assert await desk.reconciliation.advance()
        assert desk.gate(duty) is None

    @pytest.mark.parametrize("duty", PROTECTIVE, ids=lambda duty: duty.kind())
    def test_what_protects_somebody_never_waits_for_it(self, desk: Any, duty: d.Duty) -> None:
        assert desk.gate(duty) is None

    def test_a_funding_that_left_is_protective_and_one_that_was_only_built_is_not(self, desk: Any) -> None:
        assert "compared" in (desk.gate(FUND, b.built("funding", b.FUNDING)) or "")
        assert desk.gate(FUND, f.Sent(role="funding", txid=b.FUNDING)) is None

    async def test_tickets_wait_with_the_reason(self, desk: Any) -> None:
        [pause] = desk.office.pauses()
        assert (pause.dependency, "being compared" in pause.reason) == ("coordinator", True)
        await desk.reconciliation.advance()
        assert desk.office.pauses() == ()


class TestWaiting:
    async def test_an_unread_block_is_waited_for_no_longer_than_it_takes_to_read_it(
        self, desk: Any, house: Any, monkeypatch: Any
    ) -> None:
        """No pause ends here by itself, neither the chain loop's nor the money loop's."""
        monkeypatch.setattr(office, "FIRST_SECONDS", HOUR)
        monkeypatch.setattr(office, "LONGEST_SECONDS", HOUR)
        chain = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=HOUR)
        following = asyncio.create_task(chain.run())
        async with asyncio.timeout(10):
            await house.wakeups.in_step.wait()
            house.wakeups.in_step.clear()
            house.chain.mine()
            comparing = asyncio.create_task(desk.office.run())
            while not desk.reconciliation.is_complete:
                await house.wakeups.duties.wait()
        for task in (following, comparing):
            task.cancel()
        await asyncio.gather(following, comparing, return_exceptions=True)
        assert desk.reconciliation.is_complete

    @pytest.mark.parametrize(
        ("service", "call", "done"),
        [("chain", "tip", 0), ("lightning", "listed_invoices", 2), ("lightning", "listed_payments", 3)],
    )
    async def test_a_service_that_is_away_is_waited_for_and_what_was_done_stays_done(
        self, desk: Any, house: Any, monkeypatch: Any, service: str, call: str, done: int
    ) -> None:
        await house.lane(OPEN, *b.seats())

        async def away(*_: object) -> object:
            raise Unreachable(service, "no answer", fault=Fault.NODE)

        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        monkeypatch.setattr(getattr(desk, service), call, away)
        assert not await desk.reconciliation.advance()
        progress = desk.reconciliation.progress()
        assert (progress.complete, len(progress.done)) == (False, done)
        assert "no answer" in progress.waits_for
        assert desk.gate(PAY) is not None
        monkeypatch.undo()
        assert await desk.reconciliation.advance()
        assert desk.reconciliation.progress().waits_for == ""

    async def test_nothing_is_said_before_the_cursor_is_the_nodes_tip(self, desk: Any) -> None:
        desk.chain.mine()
        assert not await desk.reconciliation.advance()
        assert "block 101 is not read yet" in desk.reconciliation.progress().waits_for

    async def test_another_block_at_the_height_of_the_cursor_is_not_its_block(self, desk: Any, house: Any) -> None:
        desk.chain.drop()
        desk.chain.mine(branch="b")
        assert not await desk.reconciliation.advance()

    async def test_every_comparison_is_made(self, desk: Any) -> None:
        await desk.reconciliation.advance()
        assert desk.reconciliation.progress().done == tuple(item.value for item in Comparison)


class TestInvoices:
    @pytest.mark.parametrize(
        ("before", "now"),
        [
            (HoldState.OPEN, InvoiceState.ACCEPTED),
            (HoldState.OPEN, InvoiceState.CANCELED),
            (HoldState.ACCEPTED, InvoiceState.SETTLED),
            (HoldState.ACCEPTED, InvoiceState.CANCELED),
        ],
    )
    async def test_a_difference_becomes_a_fact_and_the_competition_looks_at_itself(
        self, desk: Any, house: Any, before: HoldState, now: InvoiceState
    ) -> None:
        lane = await house.lane(OPEN, b.ticket("entry-1"), b.entry("entry-1"), b.invoice("entry-1", before))
        await desk.made("entry-1", now)
        await desk.reconciliation.advance()
        record = await house.store.lane(lane)
        assert record.facts.get(f.Invoice, HASH).state.value == now.value
        assert await house.rows("SELECT prio, source FROM inbox WHERE status = 0") == [(6, "reconcile")]
        assert desk.reconciliation.progress().differences == 1
        assert record.quarantined is None

    async def test_an_invoice_that_a_backup_does_not_know_is_learned(self, desk: Any, house: Any) -> None:
        lane = await house.lane(OPEN, b.ticket("entry-1"), b.entry("entry-1"))
        await desk.made("entry-1", InvoiceState.ACCEPTED)
        await desk.reconciliation.advance()
        learned = (await house.store.lane(lane)).facts.get(f.Invoice, HASH)
        assert (learned.entry_id, learned.generation, learned.state) == ("entry-1", 1, HoldState.ACCEPTED)

    async def test_who_saw_a_payment_while_the_books_were_compared_says_when_it_came(
        self, desk: Any, house: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The moments of acceptance order the seats."""
        lane = await house.lane(OPEN, b.ticket("entry-1"), b.entry("entry-1"), b.invoice("entry-1", HoldState.OPEN))
        await desk.made("entry-1", InvoiceState.ACCEPTED)
        seen, ask = b.invoice("entry-1", accepted_at=UnixTime(b.WALL - 5)), desk.lightning.invoice

        async def meanwhile(payment_hash: str) -> Any:
            await house.put(lane, seen)
            return await ask(payment_hash)

        monkeypatch.setattr(desk.lightning, "invoice", meanwhile)
        assert await desk.reconciliation.advance()
        assert (await house.store.lane(lane)).facts.get(f.Invoice, HASH) == seen
        assert desk.reconciliation.progress().differences == 0

    async def test_what_is_equal_is_left_alone(self, desk: Any, house: Any) -> None:
        await house.lane(OPEN, *b.seats())
        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        await desk.reconciliation.advance()
        assert desk.reconciliation.progress().differences == 0
        assert await house.rows("SELECT count(*) FROM inbox") == [(0,)]

    @pytest.mark.parametrize(
        ("before", "now"),
        [
            (HoldState.SETTLED, InvoiceState.CANCELED),
            (HoldState.CANCELED, InvoiceState.SETTLED),
            (HoldState.SETTLED, InvoiceState.ACCEPTED),
            (HoldState.ACCEPTED, InvoiceState.OPEN),
            (HoldState.ACCEPTED, None),
            (HoldState.SETTLED, None),
        ],
    )
    async def test_a_contradiction_stops_this_competition_alone(
        self, desk: Any, house: Any, before: HoldState, now: InvoiceState | None
    ) -> None:
        bad = await house.lane(OPEN, b.ticket("entry-1"), b.entry("entry-1"), b.invoice("entry-1", before), name="bad")
        good = await house.lane(OPEN, b.ticket("entry-2"), b.entry("entry-2"), b.invoice("entry-2"), name="good")
        await desk.made("entry-2", InvoiceState.ACCEPTED)
        if now is not None:
            await desk.made("entry-1", now)
        assert await desk.reconciliation.advance()
        stopped = await house.store.lane(bad)
        assert stopped.quarantined.startswith("the outside contradicts it: ")
        assert stopped.facts.get(f.Invoice, HASH).state is before
        assert (await house.store.lane(good)).quarantined is None
        assert desk.reconciliation.progress().contradictions == 1

    async def test_an_unpaid_invoice_that_the_node_forgot_harms_nobody(self, desk: Any, house: Any) -> None:
        lane = await house.lane(OPEN, b.ticket("entry-1"), b.invoice("entry-1", HoldState.OPEN))
        await desk.reconciliation.advance()
        assert (await house.store.lane(lane)).quarantined is None

    async def test_money_under_our_terms_that_no_ticket_explains_is_named(self, desk: Any, house: Any) -> None:
        await house.lane(OPEN, *b.seats(), terms=b.terms_with())
        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        ours, now = b.terms_with().hash.hex(), UnixTime(b.WALL)
        stranger = ListedInvoice("99" * 32, InvoiceState.SETTLED, Sats(5), ours, now)
        desk.lightning.strangers = [
            stranger,
            ListedInvoice("98" * 32, InvoiceState.OPEN, Sats(5), ours, now),
            ListedInvoice("97" * 32, InvoiceState.SETTLED, Sats(5), "00" * 32, now),
        ]
        await desk.reconciliation.advance()
        assert desk.reconciliation.strangers == (stranger,)

    async def test_an_unreadable_competition_is_stopped_and_hides_no_other(self, desk: Any, house: Any) -> None:
        bad = await house.lane(OPEN, b.ticket("entry-1"), b.invoice("entry-1"), name="bad")
        good = await house.lane(OPEN, b.ticket("entry-2"), b.invoice("entry-2", HoldState.OPEN), name="good")
        await desk.made("entry-2", InvoiceState.ACCEPTED)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE lane = 'bad' AND kind = 'invoice'")
        assert await desk.reconciliation.advance()
        assert [row.lane for row in await house.store.stopped()] == [bad]
        found = (await house.store.lane(good)).facts.get(f.Invoice, b.ticket_hash("entry-2"))
        assert found.state is HoldState.ACCEPTED


class TestChain:
    async def test_a_transaction_that_the_database_missed_is_searched_again(self, desk: Any, house: Any) -> None:
        lane = await house.lane(b.funding_broadcasted(), *b.seats(), b.pinned(), b.built("funding", b.FUNDING))
        await house.apply(lane)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE watch SET backfilled = 1")
        await put_in_chain(desk, house, b.FUNDING)
        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        assert await desk.reconciliation.advance()
        assert len(await house.store.unfilled_watches()) > 0
        assert desk.reconciliation.progress().differences == 1

    async def test_a_coin_that_its_own_funding_spent_is_well(self, desk: Any, house: Any) -> None:
        await funded(desk, house, b.FUNDING)
        assert await desk.reconciliation.advance()
        assert desk.freezer.frozen is None

    async def test_the_past_is_not_searched_for_what_a_confirmed_funding_spent(
        self, desk: Any, house: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lane = await funded(desk, house, None)
        async with house.store.write() as tx:
            await tx.set_watches(lane, {Watch("t", b.FUNDING): Height(0)})
        block = desk.chain.mine(transaction(b.FUNDING, b.COIN))
        header = BlockHeader(block.height, block.block_hash, block.time, block.median_time_past)
        async with house.store.write() as tx:
            await tx.add_block(block)
            await tx.add_hits(header, [Hit(lane, Watch("t", b.FUNDING), b.FUNDING)])
        house.clockwork.moved(None)
        asked = watch(desk, monkeypatch)
        assert await desk.reconciliation.advance()
        assert asked == []

    async def test_what_was_judged_is_not_asked_for_again_when_a_later_coin_cannot_be(
        self, desk: Any, house: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lane = await house.lane(b.awaiting_signing(), b.pinned())
        coins = [f"{number:064x}:0" for number in (1, 2)]
        async with house.store.write() as tx:
            for coin in coins:
                await tx.reserve(f"coin:{coin}", lane, "funding/1")
        asked = watch(desk, monkeypatch, fails_first=coins[1])
        assert not await desk.reconciliation.advance()
        assert await desk.reconciliation.advance()
        assert asked == [coins[0], coins[1], coins[1]]

    async def test_a_coin_that_a_stranger_spent_freezes_new_money(self, desk: Any, house: Any) -> None:
        await funded(desk, house, b.STRANGER)
        assert await desk.reconciliation.advance()
        assert f"{b.COIN} is reserved, and {b.STRANGER} spent it" in desk.freezer.frozen.reason
        assert desk.freezer.frozen.by == "coordinator"
        assert desk.office.needs() == ()
        assert await house.rows("SELECT who, act FROM audit") == [("coordinator", "freeze")]

    async def test_one_that_is_found_while_new_money_is_frozen_is_said_before_it_is_let_in(
        self, desk: Any, house: Any
    ) -> None:
        await desk.freezer.freeze(desk.by(reason="we move house"))
        await funded(desk, house, b.STRANGER)
        assert await desk.reconciliation.advance()
        assert desk.freezer.frozen.reason == "we move house"
        [need] = desk.office.needs()
        assert (need.kind, need.lane) == (Kind.BOOKS, None)
        assert f"{b.STRANGER} spent it" in need.reason
        await desk.freezer.unfreeze(desk.by("2"))
        assert desk.office.needs() == ()

    async def test_coins_of_a_competition_that_cannot_be_read_hold_no_other_back(self, desk: Any, house: Any) -> None:
        await funded(desk, house, b.STRANGER)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE kind = 'pinned'")
        assert await desk.reconciliation.advance()
        assert desk.freezer.frozen is None
        assert desk.gate(PAY) is None

    async def test_the_coins_of_the_others_are_compared(self, desk: Any, house: Any) -> None:
        await funded(desk, house, b.STRANGER)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE kind = 'pinned'")
        good, other = await house.lane(b.awaiting_signing(), name="good"), f"{'ee' * 32}:1"
        async with house.store.write() as tx:
            await tx.reserve(f"coin:{other}", good, "funding/1")
        assert await desk.reconciliation.advance()
        assert f"{other} is reserved, and the node does not know it" in desk.freezer.frozen.reason

    async def test_a_coin_that_the_node_does_not_know_freezes_new_money(self, desk: Any, house: Any) -> None:
        await funded(desk, house, None)
        assert await desk.reconciliation.advance()
        assert "the node does not know it" in desk.freezer.frozen.reason


def watch(desk: Any, monkeypatch: pytest.MonkeyPatch, *, fails_first: str = "") -> list[str]:
    """The coins whose spend the node is asked for. One of them gets no answer the first time."""
    asked: list[str] = []
    original = desk.chain.spend_of

    async def spend_of(outpoint: Any) -> Any:
        asked.append(str(outpoint))
        if str(outpoint) == fails_first and asked.count(fails_first) == 1:
            raise Unreachable("bitcoin", "is away", fault=Fault.NODE)
        return await original(outpoint)

    monkeypatch.setattr(desk.chain, "spend_of", spend_of)
    return asked


async def funded(desk: Any, house: Any, spender: str | None) -> str:
    """A competition reserved a coin, and somebody may have spent it."""
    lane = await house.lane(b.awaiting_signing(), b.pinned())
    async with house.store.write() as tx:
        await tx.reserve(f"coin:{b.COIN}", lane, "funding/1")
    if spender is not None:
        await put_in_chain(desk, house, spender, b.COIN)
    return lane


async def put_in_chain(desk: Any, house: Any, txid: str, *spends: str) -> None:
    block = desk.chain.mine(transaction(txid, *spends))
    async with house.store.write() as tx:
        await tx.add_block(block)
    house.clockwork.moved(None)
