"""Payments here and at Lightning, compared: a contradiction stops a competition, what is unexplained holds a prize."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import PrizeState
from coordinator.engine.operators.attention import Kind
from coordinator.engine.submit import Conflict
from coordinator.ports.lightning import InvoiceState, Payment, PaymentState
from coordinator_core.units import UnixTime
from tests.support import lanes as b

OPEN = s.CollectingEntries(terms_hash="h")
PAY = d.PayPrize(entry_id="entry-1", payment_hash="aa" * 32, cltv_limit=0)


class TestPayments:
    async def test_a_payment_that_arrived_meanwhile_is_asked_for_by_its_own_duty(self, desk: Any, house: Any) -> None:
        lane = await house.lane(b.outcome_broadcasted(), *b.seats(), b.pinned(), b.payout("entry-1", PrizeState.PAYING))
        await house.apply(lane)
        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        paid = b.payout("entry-1", PrizeState.PAYING)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12 WHERE kind = 'ln.pay'")
        desk.left(paid.payment_hash, paid.amount)
        await house.store.lane(lane)
        assert await desk.reconciliation.advance()
        assert await house.rows("SELECT count(*) FROM duty WHERE kind = 'ln.pay' AND due_at < 9e12") == [(1,)]
        assert desk.reconciliation.progress().contradictions == 0

    async def test_a_prize_that_is_paid_here_and_failed_there_stops_the_competition(
        self, desk: Any, house: Any
    ) -> None:
        paid = b.payout("entry-1", PrizeState.PAID)
        lane = await house.lane(b.outcome_broadcasted(), b.pinned(), paid)
        desk.left(paid.payment_hash, paid.amount, state="failed")
        desk.lightning.payments[paid.payment_hash] = Payment(paid.payment_hash, PaymentState.FAILED)
        assert await desk.reconciliation.advance()
        assert "PAID here and failed at Lightning" in (await house.store.lane(lane)).quarantined

    async def test_one_that_was_paid_after_the_list_was_read_contradicts_nothing(self, desk: Any, house: Any) -> None:
        """The same invoice is sent again while payments are compared."""
        paid = b.payout("entry-1", PrizeState.PAID)
        lane = await house.lane(b.outcome_broadcasted(), b.pinned(), paid)
        desk.left(paid.payment_hash, paid.amount, state="failed")
        desk.lightning.payments[paid.payment_hash] = Payment(paid.payment_hash, PaymentState.SUCCEEDED)
        assert await desk.reconciliation.advance()
        assert (await house.store.lane(lane)).quarantined is None

    async def test_a_payout_that_cannot_be_read_holds_no_prize_of_others_back(self, desk: Any, house: Any) -> None:
        bad = await house.lane(b.outcome_broadcasted(), b.pinned(), b.payout("entry-1", PrizeState.PAID))
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE kind = 'payout'")
        assert await desk.reconciliation.advance()
        assert [row.lane for row in await house.store.stopped()] == [bad]
        assert desk.gate(PAY) is None

    async def test_a_node_that_forgot_our_last_payment_freezes_new_money(self, desk: Any, house: Any) -> None:
        paid = b.payout("entry-1", PrizeState.PAID)
        await house.lane(b.outcome_broadcasted(), b.pinned(), paid)
        assert await desk.reconciliation.advance()
        assert f"does not hold our last one, {paid.payment_hash}" in desk.freezer.frozen.reason
        await desk.reconciliation.again()
        assert desk.reconciliation.progress().contradictions == 1

    async def test_it_is_looked_at_again_while_payments_go_on(self, desk: Any, house: Any) -> None:
        await house.lane(OPEN)
        await desk.reconciliation.advance()
        desk.left("77" * 32, 5)
        await desk.reconciliation.again()
        assert [p.payment_hash for p in desk.reconciliation.unexplained.payments] == ["77" * 32]
        assert desk.reconciliation.is_complete


class TestUnexplained:
    """Money section 8: an unexplained payment puts a hold on every prize it could have paid."""

    NET = b.payout("entry-1", PrizeState.PAYING).amount

    @pytest.fixture
    async def prize(self, desk: Any, house: Any) -> b.Story:
        story = b.Story().put(*b.seats(), b.payout("entry-1", PrizeState.PAYING))
        # Long before its first ticket: what left in between is looked at, and cannot have paid its prize.
        house.clock.seconds = b.WALL - 50_000
        await house.lane(b.outcome_broadcasted(), *b.seats(), b.pinned(), b.payout("entry-1", PrizeState.PAYING))
        async with house.store.write() as tx:
            await tx.reserve(f"payout:{self.duty.payment_hash}", b.LANE, "prize/entry-1")
        house.clock.seconds = b.WALL
        for entry_id in b.ROSTER:
            await desk.made(entry_id, InvoiceState.ACCEPTED)
        return story

    @property
    def duty(self) -> d.PayPrize:
        name = b.payout("entry-1", PrizeState.PAYING).payment_hash
        return d.PayPrize(entry_id="entry-1", payment_hash=name, cltv_limit=0)

    async def held(self, desk: Any, prize: b.Story) -> str | None:
        assert await desk.reconciliation.advance()
        return desk.office.gate.held(self.duty, prize.lane)

    @pytest.mark.parametrize("state", ["succeeded", "in_flight", "unknown"])
    async def test_one_of_its_amount_holds_it(self, desk: Any, prize: b.Story, state: str) -> None:
        desk.left("77" * 32, self.NET, state=state)
        assert "7777, which nothing here explains, may have paid this prize already" in await self.held(desk, prize)

    @pytest.mark.parametrize(
        ("sats", "at", "state"),
        [(NET - 1, b.WALL + 60, "succeeded"), (NET, b.WALL - 10_000, "succeeded"), (NET, b.WALL + 60, "failed")],
    )
    async def test_one_that_cannot_have_paid_it_does_not(
        self, desk: Any, prize: b.Story, sats: int, at: int, state: str
    ) -> None:
        desk.left("77" * 32, sats, at, state)
        assert await self.held(desk, prize) is None

    async def test_one_that_a_payout_row_explains_does_not(self, desk: Any, house: Any, prize: b.Story) -> None:
        async with house.store.write() as tx:
            await tx.reserve(f"payout:{'77' * 32}", "another", "prize/entry-9")
        desk.left("77" * 32, self.NET)
        desk.left(self.duty.payment_hash, self.NET)
        assert await self.held(desk, prize) is None

    async def test_one_on_the_payout_hash_of_another_entry_paid_that_one(
        self, desk: Any, house: Any, prize: b.Story
    ) -> None:
        async with house.store.write() as tx:
            await tx.reserve(f"hash:{'77' * 32}", b.LANE, "entry/entry-2/payout")
        desk.left("77" * 32, self.NET)
        assert await self.held(desk, prize) is None

    async def test_one_on_its_own_payout_hash_holds_it_whatever_the_amount(
        self, desk: Any, house: Any, prize: b.Story
    ) -> None:
        own = b.entry("entry-1").payout_hash
        async with house.store.write() as tx:
            await tx.reserve(f"hash:{own}", b.LANE, "entry/entry-1/payout")
        desk.left(own, 1)
        assert own in await self.held(desk, prize)

    async def test_an_operator_explains_it_for_ever_and_it_is_in_the_audit_log(
        self, desk: Any, house: Any, prize: b.Story
    ) -> None:
        desk.left("77" * 32, self.NET)
        assert await self.held(desk, prize) is not None
        answer = await desk.office.explain(desk.by(reason="the hosting bill"), "77" * 32)
        assert answer == f'{{"explained":"{"77" * 32}"}}'.encode()
        assert desk.office.gate.held(self.duty, prize.lane) is None
        log = await house.rows("SELECT who, act, subject, reason FROM audit")
        assert log == [("operator", "explain", "77" * 32, "the hosting bill")]
        restarted = desk.again()
        assert await self.held(restarted, prize) is None

    async def test_what_is_explained_while_payments_are_compared_stays_explained(
        self, desk: Any, prize: b.Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.left("77" * 32, self.NET)
        assert await self.held(desk, prize) is not None
        listed = desk.lightning.listed_payments

        async def meanwhile(since: UnixTime) -> Any:
            await desk.office.explain(desk.by(), "77" * 32)
            return await listed(since)

        monkeypatch.setattr(desk.lightning, "listed_payments", meanwhile)
        await desk.reconciliation.again()
        assert desk.office.gate.held(self.duty, prize.lane) is None
        assert desk.office.needs() == ()

    async def test_one_that_failed_in_the_end_needs_nobody(self, desk: Any, prize: b.Story) -> None:
        desk.left("77" * 32, self.NET, state="in_flight")
        assert await self.held(desk, prize) is not None
        [need] = desk.office.needs()
        assert need.kind == Kind.UNEXPLAINED
        desk.lightning.outgoing.clear()
        desk.left("77" * 32, self.NET, state="failed")
        await desk.reconciliation.again()
        assert desk.office.gate.held(self.duty, prize.lane) is None
        assert desk.office.needs() == ()

    async def test_only_what_nothing_explains_can_be_explained(self, desk: Any, prize: b.Story) -> None:
        await desk.reconciliation.advance()
        with pytest.raises(Conflict, match="is no payment of the node"):
            await desk.office.explain(desk.by(), "77" * 32)
