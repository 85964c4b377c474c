"""Duties on invoices at the edges: what is gone, unknown or silent makes nothing of a ticket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import lightning as executors
from coordinator.engine.executors import prizes
from coordinator.engine.executors.secret_names import ticket_secret
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import InvoiceState, Payment, PaymentState
from coordinator_core.errors import Fault, Misuse
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds
from tests.support import lanes as b
from tests.support.lanes import Story

OPEN = s.CollectingEntries(terms_hash="h")
HASH = b.ticket_hash("entry-1")
WATCH = d.WatchInvoice(payment_hash=HASH)


async def invoiced(bench: Any, state: InvoiceState = InvoiceState.OPEN) -> None:
    await bench.services.lightning.add_hold_invoice(
        HASH, Sats(52_400), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
    )
    bench.services.lightning._put(HASH, state, b.DEADLINE if state is InvoiceState.ACCEPTED else None)


class TestWatch:
    async def run(self, bench: Any, story: Story) -> Any:
        return await executors.WatchInvoiceExecutor(bench.services)(await bench.task(WATCH, OPEN, story))

    async def test_an_invoice_without_its_fact_is_nothing_to_watch(self, bench: Any) -> None:
        assert await self.run(bench, Story()) == Done()

    async def test_one_that_lightning_does_not_know_is_asked_for_again_and_changes_nothing(
        self, bench: Any, monkeypatch: Any
    ) -> None:
        async def silent(_: str) -> Any:
            raise Unreachable("lightning", "no stream", fault=Fault.LIGHTNING)
            yield

        monkeypatch.setattr(bench.services.lightning, "invoice_updates", silent)
        waits = await self.run(bench, Story().put(b.invoice("entry-1", HoldState.OPEN)))
        assert isinstance(waits, Again)
        assert (list(waits.facts), waits.reason) == ([], "Lightning does not know the invoice")

    async def test_without_a_stream_the_lookup_alone_says_what_became_of_it_and_is_not_hurried(
        self, bench: Any, monkeypatch: Any
    ) -> None:
        async def silent(_: str) -> Any:
            raise Unreachable("lightning", "no stream", fault=Fault.LIGHTNING)
            yield

        await invoiced(bench, InvoiceState.ACCEPTED)
        monkeypatch.setattr(bench.services.lightning, "invoice_updates", silent)
        waits = await self.run(bench, Story().put(b.invoice("entry-1", HoldState.OPEN)))
        assert [fact.state for fact in waits.facts] == [HoldState.ACCEPTED]
        assert waits.seconds == executors.SLOW_POLL_SECONDS

    async def test_a_stream_that_says_nothing_is_left_after_a_while_and_the_invoice_looked_up(
        self, bench: Any, monkeypatch: Any
    ) -> None:
        async def mute(_: str) -> Any:
            await asyncio.Event().wait()
            yield

        await invoiced(bench, InvoiceState.CANCELED)
        monkeypatch.setattr(executors, "STREAM_SECONDS", 0.0)
        monkeypatch.setattr(bench.services.lightning, "invoice_updates", mute)
        done = await self.run(bench, Story().put(b.invoice("entry-1", HoldState.OPEN)))
        assert [fact.state for fact in done.facts] == [HoldState.CANCELED]

    async def test_a_stream_that_showed_a_change_is_closed_before_the_invoice_is_looked_up(
        self, bench: Any, monkeypatch: Any
    ) -> None:
        """It holds one of the node's connections."""
        told: list[str] = []

        async def listened(_: str) -> Any:
            try:
                yield InvoiceState.ACCEPTED
                await asyncio.Event().wait()
            finally:
                told.append("closed")

        ask = bench.services.lightning.invoice

        async def asked(payment_hash: str) -> Any:
            told.append("asked")
            return await ask(payment_hash)

        await invoiced(bench, InvoiceState.ACCEPTED)
        monkeypatch.setattr(bench.services.lightning, "invoice_updates", listened)
        monkeypatch.setattr(bench.services.lightning, "invoice", asked)
        await self.run(bench, Story().put(b.invoice("entry-1", HoldState.OPEN)))
        assert told == ["closed", "asked"]


@pytest.mark.parametrize("known", [[], [b.ticket("entry-1")]])
async def test_a_roster_with_an_entry_that_has_no_invoice_is_not_read(bench: Any, known: list[Any]) -> None:
    """It would count as a hold that is there."""
    task = await bench.task(d.ReadHolds(attempt=1, roster=("entry-1",)), b.funding_ready(), Story().put(*known))
    with pytest.raises(Misuse, match="entry entry-1 has no invoice"):
        await executors.ReadHoldsExecutor(bench.services)(task)


class TestNothingIsReleased:
    SETTLE = d.SettleInvoice(entry_id="entry-1", payment_hash=HASH)

    @pytest.mark.parametrize(
        ("state", "facts"),
        [
            (b.funding_confirmed(), []),
            (s.Returning(reason="r", ends_in="failed"), b.seats(["entry-1"])),
            (s.Cancelled(reason="r"), b.seats(["entry-1"])),
        ],
    )
    async def test_where_there_is_no_invoice_or_no_funding(self, bench: Any, state: Any, facts: list[Any]) -> None:
        await invoiced(bench, InvoiceState.ACCEPTED)
        await bench.services.secrets.put(b.LANE, ticket_secret(HASH), Secret(b"\x07" * 32))
        task = await bench.task(self.SETTLE, state, Story().put(*facts).confirm(b.FUNDING))
        assert await executors.SettleInvoiceExecutor(bench.services)(task) == Done()
        assert "settle" not in bench.services.lightning.calls

    async def test_when_the_competition_gave_up_its_funding_while_lightning_was_asked(self, bench: Any) -> None:
        """A conflicting spend was confirmed in between: the state has no funding any more."""
        await invoiced(bench, InvoiceState.ACCEPTED)
        await bench.services.secrets.put(b.LANE, ticket_secret(HASH), Secret(b"\x07" * 32))
        story = Story().put(*b.seats(["entry-1"])).confirm(b.FUNDING)

        async def reread() -> Any:
            return s.Returning(reason="r", ends_in="failed"), story.lane

        task = replace(await bench.task(self.SETTLE, b.funding_confirmed(), story), reread=reread)
        waits = await executors.SettleInvoiceExecutor(bench.services)(task)
        assert isinstance(waits, Again)
        assert waits.reason == executors.UNCONFIRMED
        assert "settle" not in bench.services.lightning.calls


async def test_a_payment_without_its_fact_is_not_given_back(bench: Any) -> None:
    """What no ticket explains is Lightning's to end: the hash may belong to another competition."""
    await invoiced(bench, InvoiceState.ACCEPTED)
    task = await bench.task(d.CancelInvoice(payment_hash=HASH), s.Cancelled(reason="r"), Story())
    assert await executors.CancelInvoiceExecutor(bench.services)(task) == Done()
    assert "cancel" not in bench.services.lightning.calls


async def test_a_refusal_of_a_payment_that_another_try_made_is_judged_by_what_the_node_holds(
    bench: Any, monkeypatch: Any
) -> None:
    """The node's answer to the first try was lost; the second is refused because the first is in flight."""
    payout = b.payout("entry-1", b.PrizeState.PAYING, payment_hash=HASH, payment_request="r", amount=Sats(89_540))
    story = Story().put(b.pinned(), b.contract_signed(), b.attested(), payout).confirm(b.FUNDING, b.TIP - 9)
    story.spend(f"{b.FUNDING}:0", b.OUTCOME)
    lightning = bench.services.lightning
    lightning.fate["r"] = Payment(HASH, PaymentState.SUCCEEDED)
    asked = lightning.payment
    answers = iter([Payment(HASH, PaymentState.NEVER_SENT)])

    async def stale(payment_hash: str) -> Payment:
        return next(answers, None) or await asked(payment_hash)

    lightning.payments[HASH] = Payment(HASH, PaymentState.IN_FLIGHT)
    monkeypatch.setattr(lightning, "payment", stale)
    duty = d.PayPrize(entry_id="entry-1", payment_hash=HASH, cltv_limit=0)
    waits = await prizes.PayPrizeExecutor(bench.services)(await bench.task(duty, b.outcome_broadcasted(), story))
    assert isinstance(waits, Again)
    assert lightning.sent == []
    # It goes on as the first try: no failure is counted, no pause is made.
    assert (list(waits.facts), waits.seconds, waits.reason) == ([], prizes.WATCH_SECONDS, None)
