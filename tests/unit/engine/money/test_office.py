"""The money loop after the first comparison, and what it says needs a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.chain.watching import header_of
from coordinator.engine.money import audit, office
from coordinator.engine.money.buckets import Bucket
from coordinator.engine.money.needs import PATIENCE_SECONDS
from coordinator.engine.operators.attention import Kind
from coordinator.ports.bitcoin import Coin, FundingPlan, Outpoint
from coordinator.ports.faults import Unreachable
from coordinator.ports.following import Hit, Watch
from coordinator.ports.lightning import InvoiceState, Liquidity, ListedInvoice
from coordinator_core.errors import Fault
from coordinator_core.units import Confirmations, Sats, UnixTime
from tests.support import lanes as b
from tests.support.attempt import altered
from tests.support.ports import transaction

OPEN = s.CollectingEntries(terms_hash="h")


PATIENCE_FOR_A_TURN = 30
"""Seconds, real ones: a loop that never comes to what is awaited fails the test instead of hanging it."""


class Turns:
    """The loop without its pauses, one audit at a time. It begins with the first wait: what a test puts there before is
    there for its first turn.
    """

    def __init__(self, desk: Any, monkeypatch: Any) -> None:
        for name in ("FIRST_SECONDS", "LONGEST_SECONDS", "EVERY_SECONDS"):
            monkeypatch.setattr(office, name, 0.0)
        self.audits = 0
        self._audited = asyncio.Event()
        self._look = desk.office.audit.look
        monkeypatch.setattr(desk.office.audit, "look", self._counted)
        self._compared = asyncio.Event()
        self._advance = desk.reconciliation.advance
        monkeypatch.setattr(desk.reconciliation, "advance", self._tried)
        self._run = desk.office.run
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _tried(self) -> bool:
        done = await self._advance()
        self._compared.set()
        return done

    async def _counted(self) -> None:
        await self._look()
        self.audits += 1
        self._audited.set()

    async def audit(self) -> None:
        """Wait for an audit that begins from now on."""
        self.begin()
        wanted = self.audits + 2
        async with asyncio.timeout(PATIENCE_FOR_A_TURN):
            while self.audits < wanted:
                self._audited.clear()
                await self._audited.wait()

    async def compare(self) -> None:
        """Wait for two tries to compare."""
        self.begin()
        async with asyncio.timeout(PATIENCE_FOR_A_TURN):
            for _ in range(2):
                self._compared.clear()
                await self._compared.wait()

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Away:
    """A service that does not answer."""

    asked = 0

    async def public_key(self) -> bytes:
        self.asked += 1
        raise Unreachable("oracle", "no answer", fault=Fault.ORACLE)

    async def capabilities(self) -> None:
        raise Unreachable("keymeld", "no answer", fault=Fault.SIGNER)


class Hanging:
    """An oracle that takes the request and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def public_key(self) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def desk(bench: Any, desk: Any) -> Any:
    bench.services = replace(bench.services, oracle=Away(), keymeld=Away())
    return desk.again()


@pytest.fixture
async def turns(desk: Any, monkeypatch: Any) -> AsyncIterator[Turns]:
    made = Turns(desk, monkeypatch)
    yield made
    await made.end()


class TestLoop:
    async def test_it_audits_as_soon_as_everything_was_compared(self, desk: Any, house: Any, turns: Turns) -> None:
        await house.lane(s.Cancelled(reason="r"), *b.seats(["entry-1"], HoldState.SETTLED))
        await turns.audit()
        assert desk.reconciliation.is_complete
        assert desk.freezer.frozen.reason == "the books do not add up"

    async def test_nothing_is_audited_before(self, desk: Any, turns: Turns) -> None:
        """What a restored backup does not know yet would look like a gap."""
        desk.chain.mine()
        await turns.compare()
        assert (turns.audits, desk.reconciliation.is_complete) == (0, False)

    async def test_nobody_is_asked_for_keys_before(self, desk: Any, turns: Turns) -> None:
        """Prizes wait for the comparison; a service that takes half a minute to say nothing must not delay it."""
        desk.chain.mine()
        await turns.compare()
        assert desk.bench.services.oracle.asked == 0

    async def test_an_oracle_that_hangs_delays_neither_comparison_nor_audit(
        self, desk: Any, bench: Any, monkeypatch: Any
    ) -> None:
        oracle = Hanging()
        bench.services = replace(bench.services, oracle=oracle)
        desk = desk.again()
        turns = Turns(desk, monkeypatch)
        turns.begin()
        async with asyncio.timeout(PATIENCE_FOR_A_TURN):
            await oracle.asked.wait()
        await turns.end()
        assert (turns.audits, desk.reconciliation.is_complete) == (1, True)

    async def test_an_hour_later_it_looks_at_lightning_again_and_not_before(
        self, desk: Any, house: Any, turns: Turns
    ) -> None:
        await house.lane(OPEN)
        await turns.audit()
        finished = desk.reconciliation.finished_at
        desk.left("77" * 32, 5, at=house.clock.seconds)
        house.clock.seconds = finished + office.AGAIN_SECONDS - 1
        await turns.audit()
        assert desk.reconciliation.unexplained.payments == ()
        house.clock.seconds += 1
        await turns.audit()
        assert [payment.payment_hash for payment in desk.reconciliation.unexplained.payments] == ["77" * 32]
        assert desk.reconciliation.finished_at == house.clock.seconds


class TestNeeds:
    async def test_a_comparison_that_waits_for_a_service_is_said_after_a_minute(self, desk: Any, house: Any) -> None:
        desk.chain.mine()
        assert not await desk.reconciliation.advance()
        house.clock.seconds = desk.reconciliation.began + PATIENCE_SECONDS - 1
        assert desk.office.needs() == ()
        house.clock.seconds += 1
        [need] = desk.office.needs()
        assert (need.kind, need.lane) == (Kind.COMPARING, None)
        assert "block 101 is not read yet" in need.reason
        async with house.store.write() as tx:
            await tx.add_block(desk.chain.blocks[-1])
        house.clockwork.moved(None)
        assert await desk.reconciliation.advance()
        assert desk.office.needs() == ()

    async def test_money_under_our_terms_that_no_ticket_explains_is_said(self, desk: Any, house: Any) -> None:
        await house.lane(OPEN)
        ours, now = b.terms_with().hash.hex(), UnixTime(b.WALL)
        desk.lightning.strangers = [ListedInvoice("99" * 32, InvoiceState.ACCEPTED, Sats(5), ours, now)]
        assert await desk.reconciliation.advance()
        [need] = desk.office.needs()
        assert (need.kind, need.lane) == (Kind.UNEXPLAINED, None)
        assert f"invoice {'99' * 32} over 5 sat is ACCEPTED" in need.reason


class TestFundingUnderWay:
    """The wallet counts confirmed coins only: without this every funding would look like a loss until its block."""

    VALUE, CHANGE, HAVE = 160_000, 30_000, 2_000_000

    @pytest.fixture
    async def lane(self, desk: Any, house: Any, monkeypatch: Any) -> str:
        async def liquidity() -> Liquidity:
            return Liquidity(Sats(0), Sats(0), Sats(1_000_000))

        monkeypatch.setattr(desk.lightning, "liquidity", liquidity)
        coin = Coin(Outpoint("c" * 64, 0), Sats(200_000), b"", Confirmations(3))
        plan = FundingPlan(b"", b.FUNDING, (coin,), 0, 1, Sats(self.CHANGE), Sats(1_000))
        async with house.store.write() as tx:
            blob = await tx.put_blob(msgspec.json.encode(plan))
        return await house.lane(b.funding_broadcasted(), *b.seats(), altered(b.pinned(), plan=blob))

    async def test_its_coins_are_ours_until_it_is_confirmed(self, desk: Any, lane: str) -> None:
        await desk.office.audit.look()
        assert desk.office.audit.gap == -(self.HAVE + self.VALUE + self.CHANGE)

    async def test_then_the_wallet_counts_its_change_itself(self, desk: Any, house: Any, lane: str) -> None:
        block = desk.chain.mine(transaction(b.FUNDING))
        async with house.store.write() as tx:
            await tx.add_block(block)
            watch = Watch("t", b.FUNDING)
            assert await tx.add_hits(header_of(block), [Hit(lane, watch, b.FUNDING)])
        house.clockwork.moved(header_of(block))
        await desk.office.audit.look()
        assert desk.office.audit.gap == -self.HAVE

    async def test_nothing_is_under_way_before_the_coins_are_pinned(self, desk: Any, house: Any, lane: str) -> None:
        await house.lane(b.funding_broadcasted(attempt=2), *b.seats(), name="other")
        await desk.office.audit.look()
        assert desk.office.audit.gap == -(self.HAVE + self.VALUE + self.CHANGE)


async def test_a_competition_whose_books_cannot_be_counted_keeps_the_last_ones_and_hides_no_other(
    desk: Any, house: Any, monkeypatch: Any
) -> None:
    bad = await house.lane(OPEN, *b.seats(), name="bad")
    good = await house.lane(OPEN, name="good")
    await desk.office.audit.look()

    counted = audit.books_of

    def fails(state: s.Competition, lane: Any) -> Any:
        if lane.id == bad:
            raise ArithmeticError("a fault of ours")
        return counted(state, lane)

    monkeypatch.setattr(audit, "books_of", fails)
    await house.put(good, *b.seats(["entry-4"]))
    for lane in (bad, good):
        house.wakeups.changed(lane)
    await desk.office.audit.look()
    assert desk.office.audit.buckets[Bucket.HELD].sats == 4 * 52_400
