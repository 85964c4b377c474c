"""Lightning duties against a small node: what is asked first, what is done once, what is never done."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.engine.dependencies import Away, Dependency
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import lightning as executors
from coordinator.engine.executors import prizes
from coordinator.engine.executors.contracts import funding_duty
from coordinator.engine.executors.secret_names import payout_secret, ticket_secret
from coordinator.engine.new_money import NewMoney
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, Place
from coordinator.ports.lightning import FailureKind, Payment, PaymentState
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.errors import Misuse
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import Blocks, FeeRate, Sats, Seconds, UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story
from tests.support.ports import transaction, txid_of

PREIMAGE = b"\x07" * 32
HASH = hashlib.sha256(PREIMAGE).hexdigest()
MARKET = FeeMarket(FeeRate(500), FeeRate(250))
RAW = Transaction((TxIn(OutPoint(b"\x0c" * 32, 0), 0),), (TxOut(Sats(1_000), b"\x51"),)).serialize()
OPEN = s.CollectingEntries(terms_hash="h")


def held(entry_id: str = "entry-1", state: HoldState = HoldState.ACCEPTED) -> list[f.Fact]:
    """A ticket whose hash has a preimage that the coordinator knows."""
    made = b.invoice(entry_id, state)
    changed: dict[str, Any] = {name: getattr(made, name) for name in made.__struct_fields__}
    ticket: dict[str, Any] = {name: getattr(b.ticket(entry_id), name) for name in b.ticket(entry_id).__struct_fields__}
    return [f.Ticket(**{**ticket, "ticket_hash": HASH}), f.Invoice(**{**changed, "payment_hash": HASH})]


async def invoiced(bench, *hashes: str) -> None:
    for payment_hash in hashes:
        await bench.services.lightning.add_hold_invoice(
            payment_hash, Sats(52_400), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
        )


class TestCreateInvoice:
    duty = d.CreateInvoice(entry_id="entry-1", generation=1, payment_hash=b.ticket_hash("entry-1"))
    money = NewMoney(MARKET)

    async def run(self, bench, story: Story):
        task = await bench.task(self.duty, OPEN, story)
        return await executors.CreateInvoiceExecutor(bench.services, lambda: self.money)(task)

    async def test_invoice_is_over_the_price_bound_to_the_terms_and_held_long_enough(self, bench) -> None:
        story = Story().put(b.ticket("entry-1"), b.entry("entry-1"))
        done = await self.run(bench, story)
        made = done.facts[0]
        assert (made.state, made.value, made.accepted_at) == (HoldState.OPEN, 52_400, None)
        assert made.payment_request == f"lnbcrt-52400-143-{story.terms.hash.hex()[:8]}"

    async def test_one_that_exists_is_taken_as_it_is(self, bench) -> None:
        await invoiced(bench, self.duty.payment_hash)
        await self.run(bench, Story().put(b.ticket("entry-1")))
        assert bench.services.lightning.calls == ["add_hold_invoice"]

    @pytest.mark.parametrize(
        "paused",
        [
            *(NewMoney(MARKET, (Away(name, UnixTime(1), "does not answer"),)) for name in Dependency),
            NewMoney(FeeMarket(FeeRate(12_000), FeeRate(250))),
            NewMoney(None),
        ],
    )
    async def test_none_is_made_while_new_money_pauses_but_one_that_exists_is_known(self, bench, paused) -> None:
        self.money = paused
        story = Story().put(b.ticket("entry-1"), b.entry("entry-1"))
        waits = await self.run(bench, story)
        assert isinstance(waits, Again)
        assert "new money pauses" in waits.reason
        assert waits.held
        assert bench.services.lightning.invoices == {}
        await invoiced(bench, self.duty.payment_hash)
        assert isinstance(await self.run(bench, story), Done)

    async def test_renewed_ticket_gets_none_for_its_old_hash(self, bench) -> None:
        assert await self.run(bench, Story().put(b.ticket("entry-1", 2))) == Done()
        assert bench.services.lightning.invoices == {}


class TestWatchInvoice:
    duty = d.WatchInvoice(payment_hash=b.ticket_hash("entry-1"))

    async def run(self, bench, story: Story):
        return await executors.WatchInvoiceExecutor(bench.services)(await bench.task(self.duty, OPEN, story))

    async def test_payment_is_seen_with_its_time_and_height_and_watched_on(self, bench) -> None:
        await invoiced(bench, self.duty.payment_hash)
        bench.services.lightning.hold(self.duty.payment_hash, b.DEADLINE)
        outcome = await self.run(bench, Story().put(b.invoice("entry-1", HoldState.OPEN)))
        assert isinstance(outcome, Again)
        seen = outcome.facts[0]
        assert (seen.state, seen.accepted_at, seen.expiry_height) == (HoldState.ACCEPTED, b.WALL, b.DEADLINE)

    async def test_time_of_the_first_acceptance_stays(self, bench) -> None:
        await invoiced(bench, self.duty.payment_hash)
        bench.services.lightning.hold(self.duty.payment_hash, b.DEADLINE)
        outcome = await self.run(bench, Story().put(b.invoice("entry-1", accepted_at=b.WALL - 500)))
        assert outcome.facts[0].accepted_at == b.WALL - 500

    async def test_end_is_the_nodes_word(self, bench) -> None:
        await invoiced(bench, self.duty.payment_hash)
        bench.services.lightning.give_up(self.duty.payment_hash)
        outcome = await self.run(bench, Story().put(b.invoice("entry-1")))
        assert isinstance(outcome, Done)
        assert outcome.facts[0].state is HoldState.CANCELED


class TestReadHolds:
    async def run(self, bench, expiry: dict[str, int | None]):
        bench.services.lightning.height = b.TIP
        story = Story().put(*b.seats())
        for e, height in expiry.items():
            await invoiced(bench, b.ticket_hash(e))
            if height is not None:
                bench.services.lightning.hold(b.ticket_hash(e), height)
        duty = d.ReadHolds(attempt=1, roster=b.ROSTER)
        task = await bench.task(duty, b.funding_ready(), story)
        done = await executors.ReadHoldsExecutor(bench.services)(task)
        return done.facts[-1], done.facts[:-1]

    async def test_every_hold_is_read_and_counted(self, bench) -> None:
        read, invoices = await self.run(bench, dict.fromkeys(b.ROSTER, b.TIP + 18 + 31))
        assert (read.attempt, read.at_height, read.least_left, read.lost) == (1, b.TIP, 31, ())
        assert [i.entry_id for i in invoices] == list(b.ROSTER)

    async def test_short_and_lost_holds_are_named(self, bench) -> None:
        far = b.TIP + 200
        read, _ = await self.run(bench, {"entry-1": b.TIP + 18 + 30, "entry-2": None, "entry-3": far})
        assert read.lost == ("entry-1", "entry-2")

    async def test_higher_of_the_two_tips_counts(self, bench) -> None:
        far = b.TIP + 18 + 31
        read, _ = await self.run(bench, dict.fromkeys(b.ROSTER, far))
        assert read.lost == ()
        bench.services.lightning.height = b.TIP + 1
        story = Story().put(*b.seats())
        task = await bench.task(d.ReadHolds(attempt=1, roster=b.ROSTER), b.funding_ready(), story)
        again = await executors.ReadHoldsExecutor(bench.services)(task)
        assert again.facts[-1].lost == b.ROSTER

    async def test_invoice_that_nobody_knows_is_no_reading(self, bench) -> None:
        with pytest.raises(Misuse, match="does not know"):
            await self.run(bench, {"entry-1": b.TIP + 100})


class TestSettle:
    duty = d.SettleInvoice(entry_id="entry-1", payment_hash=HASH)

    async def run(self, bench, story: Story, state: s.Competition | None = None):
        task = await bench.task(self.duty, state or b.funding_confirmed(), story)
        return await executors.SettleInvoiceExecutor(bench.services)(task)

    @pytest.fixture
    async def paid(self, bench) -> Story:
        await invoiced(bench, HASH)
        bench.services.lightning.hold(HASH, b.DEADLINE)
        await bench.services.secrets.put(b.LANE, ticket_secret(HASH), Secret(PREIMAGE))
        return Story().put(*held())

    async def test_settled_once_the_funding_is_confirmed(self, bench, paid: Story) -> None:
        done = await self.run(bench, paid.confirm(b.FUNDING))
        assert done.facts[0].state is HoldState.SETTLED
        assert bench.services.lightning.settled == [HASH]
        assert isinstance(await self.run(bench, paid), Done)
        assert bench.services.lightning.calls.count("settle") == 1

    async def test_never_before_although_the_duty_is_here(self, bench, paid: Story) -> None:
        assert isinstance(await self.run(bench, paid), Again)
        three = Story(b.terms_with(b.MAINNET), facts=paid.facts).confirm(b.FUNDING).set(tip=b.TIP + 1)
        assert isinstance(await self.run(bench, three), Again)
        assert bench.services.lightning.settled == []

    async def test_not_when_the_funding_left_the_chain_while_lightning_was_asked(self, bench, paid: Story) -> None:
        async def reread():
            return b.funding_broadcasted(), paid.lane

        confirmed = paid.copy().confirm(b.FUNDING)
        task = replace(await bench.task(self.duty, b.funding_confirmed(), confirmed), reread=reread)
        assert isinstance(await executors.SettleInvoiceExecutor(bench.services)(task), Again)
        assert bench.services.lightning.settled == []

    async def test_recorded_exception_settles_before(self, bench, paid: Story) -> None:
        paid.put(f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP)))
        await self.run(bench, paid, b.funding_broadcasted())
        assert bench.services.lightning.settled == [HASH]

    async def test_preimage_of_a_ticket_that_lightning_canceled_is_not_released(self, bench, paid: Story) -> None:
        bench.services.lightning.give_up(HASH)
        done = await self.run(bench, paid.confirm(b.FUNDING))
        assert done.facts[0].state is HoldState.CANCELED
        assert "settle" not in bench.services.lightning.calls

    async def test_invoice_without_a_payment_is_looked_at_again(self, bench, paid: Story) -> None:
        bench.services.lightning._put(HASH, b.HoldState.OPEN, None)
        assert isinstance(await self.run(bench, paid.confirm(b.FUNDING)), Again)

    async def test_missing_preimage_is_said(self, bench) -> None:
        await invoiced(bench, HASH)
        bench.services.lightning.hold(HASH, b.DEADLINE)
        with pytest.raises(Misuse, match="preimage of ticket entry-1 is missing"):
            await self.run(bench, Story().put(*held()).confirm(b.FUNDING))


@pytest.mark.parametrize("place", list(Place))
async def test_holds_are_decided_by_what_the_node_holds(bench, place: Place) -> None:
    chain = bench.house.chain
    if place is Place.MEMPOOL:
        chain.mempool[b.FUNDING] = b""
    if place is Place.CHAIN:
        chain.mine(transaction(b.FUNDING))
    duty = d.DecideHolds(attempt=1, funding_txid=b.FUNDING)
    done = await executors.DecideHoldsExecutor(bench.services)(await bench.task(duty, b.funding_broadcasted(), Story()))
    assert done.facts[0].settle is (place is not Place.UNKNOWN)


class TestDecidedAfterARestartOfTheNode:
    duty = d.DecideHolds(attempt=1, funding_txid=b.FUNDING)

    async def run(self, bench, *facts: f.Fact) -> bool:
        async with bench.house.store.write() as tx:
            await tx.pin(funding_duty(b.LANE, 1), "raw", RAW)
        task = await bench.task(self.duty, b.funding_broadcasted(), Story().put(*facts))
        return (await executors.DecideHoldsExecutor(bench.services)(task)).facts[0].settle

    async def test_a_funding_that_left_is_announced_before_it_is_judged(self, bench) -> None:
        assert await self.run(bench, f.Sent(role="funding", txid=b.FUNDING))
        assert bench.house.chain.received == [RAW]

    async def test_one_that_the_node_does_not_take_is_not_settled_over(self, bench) -> None:
        bench.house.chain.verdicts[txid_of(RAW)] = BroadcastResult(BroadcastVerdict.CONFLICT)
        assert not await self.run(bench, f.Sent(role="funding", txid=b.FUNDING))

    async def test_one_that_never_left_is_not_sent_now(self, bench) -> None:
        assert not await self.run(bench, b.built("funding", b.FUNDING))
        assert bench.house.chain.received == []


async def test_cancel_tells_what_became_of_it(bench) -> None:
    await invoiced(bench, HASH)
    duty = d.CancelInvoice(payment_hash=HASH)
    executor = executors.CancelInvoiceExecutor(bench.services)
    done = await executor(await bench.task(duty, s.Returning(reason="r", ends_in="failed"), Story().put(*held())))
    assert done.facts[0].state is HoldState.CANCELED
    again = await executor(await bench.task(duty, s.Returning(reason="r", ends_in="failed"), Story().put(*held())))
    assert again.facts[0].state is HoldState.CANCELED


class TestPayPrize:
    NET = 89_540

    def story(self, **payout: Any) -> Story:
        story = Story().put(b.pinned(), b.contract_signed(), b.attested())
        story.put(self.payout(**payout))
        return story.confirm(b.FUNDING, b.TIP - 9).spend(f"{b.FUNDING}:0", b.OUTCOME)

    def payout(self, **changes: Any) -> f.Payout:
        values = {"payment_hash": HASH, "payment_request": "request", "amount": Sats(self.NET), **changes}
        return b.payout("entry-1", values.pop("state", PrizeState.PAYING), **values)

    def fate(self, bench, state: PaymentState, **more: Any) -> None:
        bench.services.lightning.fate["request"] = Payment(HASH, state, **more)

    async def run(self, bench, story: Story, state: s.Competition | None = None, *, stopped: bool = False):
        duty = d.PayPrize(entry_id="entry-1", payment_hash=HASH, cltv_limit=0)
        task = await bench.task(duty, state or b.outcome_broadcasted(), story)
        task = replace(task, stopped=stopped, held="the competition is stopped" if stopped else None)
        return await prizes.PayPrizeExecutor(bench.services)(task)

    async def test_paid_within_allowance_and_window_and_the_preimage_is_kept(self, bench) -> None:
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex(), fee=Sats(12))
        done = await self.run(bench, self.story())
        kept, paid = done.facts
        assert (paid.state, paid.routing_fee) == (PrizeState.PAID, 12)
        assert kept == f.PreimageHeld(entry_id="entry-1")
        window = 2 * b.DELTA - 13 - 3
        assert bench.services.lightning.sent == [("request", 90_000 - self.NET, window)]
        secret = await bench.services.secrets.get(b.LANE, payout_secret("entry-1"))
        assert secret.reveal() == PREIMAGE

    async def test_while_the_competition_is_stopped_nothing_is_sent_and_what_was_sent_is_followed(self, bench) -> None:
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex(), fee=Sats(12))
        waiting = await self.run(bench, self.story(), stopped=True)
        assert isinstance(waiting, Again)
        assert "stopped" in waiting.reason
        assert waiting.held
        assert bench.services.lightning.sent == []
        await self.run(bench, self.story())
        assert len(bench.services.lightning.sent) == 1
        seen = await self.run(bench, self.story(), stopped=True)
        assert seen.facts[-1].state is PrizeState.PAID
        assert len(bench.services.lightning.sent) == 1

    async def test_plain_payment_keeps_no_preimage_of_the_payees(self, bench) -> None:
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex())
        done = await self.run(bench, self.story(atomic=False))
        assert [fact.kind() for fact in done.facts] == ["payout"]
        assert bench.services.secrets.held == {}

    @pytest.mark.parametrize("state", [PaymentState.SUCCEEDED, PaymentState.IN_FLIGHT, PaymentState.UNKNOWN])
    async def test_nothing_is_sent_twice(self, bench, state: PaymentState) -> None:
        bench.services.lightning.payments[HASH] = Payment(HASH, state, preimage=PREIMAGE.hex())
        outcome = await self.run(bench, self.story())
        assert bench.services.lightning.sent == []
        wanted = {"succeeded": PrizeState.PAID, "in_flight": None, "unknown": PrizeState.UNKNOWN}[state.value]
        assert [x.state for x in outcome.facts if isinstance(x, f.Payout)] == ([] if wanted is None else [wanted])

    async def test_passing_failure_sends_the_same_invoice_later(self, bench) -> None:
        self.fate(bench, PaymentState.FAILED, failure=FailureKind.NO_ROUTE)
        outcome = await self.run(bench, self.story())
        assert isinstance(outcome, Again)
        fact = outcome.facts[0]
        assert (fact.state, fact.tries, fact.failure, fact.next_try) == (PrizeState.PAYING, 1, "no_route", b.WALL + 30)
        waiting = await self.run(bench, self.story(tries=1, failure="no_route", next_try=UnixTime(b.WALL + 30)))
        assert waiting == Again(30.0)
        await self.run(bench, self.story(tries=1, failure="no_route", next_try=UnixTime(b.WALL)))
        assert [request for request, _, _ in bench.services.lightning.sent] == ["request", "request"]

    async def test_a_wall_clock_that_went_back_keeps_no_payment_waiting(self, bench) -> None:
        self.fate(bench, PaymentState.FAILED, failure=FailureKind.NO_ROUTE)
        await self.run(bench, self.story())
        for ahead, sent in ((600, 1), (601, 2), (86_400, 3)):
            await self.run(bench, self.story(tries=1, failure="no_route", next_try=UnixTime(b.WALL + ahead)))
            assert len(bench.services.lightning.sent) == sent

    async def test_pause_doubles_up_to_ten_minutes(self, bench) -> None:
        pauses: list[float] = []
        for tries in (0, 1, 4, 5, 40):
            self.fate(bench, PaymentState.FAILED, failure=FailureKind.TIMEOUT)
            outcome = await self.run(bench, self.story(tries=tries, failure="timeout" if tries else None))
            pauses.append(outcome.seconds)
        assert pauses == [30.0, 60.0, 480.0, 600.0, 600.0]

    async def test_payees_no_is_final(self, bench) -> None:
        self.fate(bench, PaymentState.FAILED, failure=FailureKind.PAYEE_REJECTS)
        done = await self.run(bench, self.story())
        assert isinstance(done, Done)
        assert (done.facts[0].state, done.facts[0].failure) == (PrizeState.CLAIMABLE, "payee_rejects")
        await self.run(bench, self.story(failure="payee_rejects"))
        assert len(bench.services.lightning.sent) == 1

    async def test_expired_invoice_and_closed_window_send_nothing(self, bench) -> None:
        expired = await self.run(bench, self.story(expires_at=UnixTime(b.WALL)))
        assert expired.facts[0].state is PrizeState.CLAIMABLE
        closed = self.story().spend(f"{b.OUTCOME}:0", b.SPLIT).set(tip=b.TIP + b.DELTA - 16)
        late = await self.run(bench, closed, b.delta_broadcasted())
        assert late.facts[0].state is PrizeState.CLAIMABLE
        assert bench.services.lightning.sent == []

    async def test_what_cannot_be_sent_any_more_is_over_whatever_holds_it_back(self, bench) -> None:
        """The sweep of the share waits for it."""
        closed = self.story().spend(f"{b.OUTCOME}:0", b.SPLIT).set(tip=b.TIP + b.DELTA - 16)
        assert isinstance(
            await self.run(bench, closed.copy().set(tip=b.TIP), b.delta_broadcasted(), stopped=True), Again
        )
        over = await self.run(bench, closed, b.delta_broadcasted(), stopped=True)
        assert (over.facts[0].state, over.facts[0].failure) == (PrizeState.CLAIMABLE, "not sent")
        assert bench.services.lightning.sent == []

    async def test_never_sent_counts_only_while_the_node_remembers(self, bench) -> None:
        """A node that lost its list must not make us pay a second time."""
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex())
        tried = await self.run(bench, self.story(tries=1, failure="no_route"))
        assert tried.facts[0].state is PrizeState.UNKNOWN
        other = b.payout("entry-2", PrizeState.PAID)
        await bench.house.lane(s.Created(), other, name="another competition")
        forgot = await self.run(bench, self.story())
        assert forgot.facts[0].state is PrizeState.UNKNOWN
        assert bench.services.lightning.sent == []
        bench.services.lightning.payments[other.payment_hash] = Payment(other.payment_hash, PaymentState.SUCCEEDED)
        paid = await self.run(bench, self.story())
        assert paid.facts[-1].state is PrizeState.PAID

    async def test_stakes_are_paid_only_when_the_expiry_is_in_the_chain(self, bench) -> None:
        """Until then an outcome may still confirm, and its winners would be paid a second time."""
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex())
        story = Story().put(b.pinned(), b.contract_signed(), self.payout(amount=Sats(50_000))).confirm(b.FUNDING)
        assert isinstance(await self.run(bench, story, b.expiry_broadcasted()), Again)
        assert bench.services.lightning.sent == []
        done = await self.run(bench, story.spend(f"{b.FUNDING}:0", b.EXPIRED), b.expiry_broadcasted())
        assert done.facts[-1].state is PrizeState.PAID

    async def test_outcome_is_paid_before_it_confirms_only_while_the_expiry_is_not_valid(self, bench) -> None:
        self.fate(bench, PaymentState.SUCCEEDED, preimage=PREIMAGE.hex())
        story = Story().put(b.pinned(), b.contract_signed(), b.attested(), self.payout()).confirm(b.FUNDING)
        story.put(f.Sent(role="outcome", txid=b.OUTCOME))
        late = await self.run(bench, story.copy().set(median_time_past=b.EXPIRY + 1))
        assert isinstance(late, Again)
        assert bench.services.lightning.sent == []
        assert isinstance(await self.run(bench, story), Done)

    async def test_prize_that_changed_with_the_transaction_that_confirmed_is_not_paid(self, bench) -> None:
        story = self.story().spend(f"{b.FUNDING}:0", b.EXPIRED)
        done = await self.run(bench, story, b.expiry_broadcasted())
        assert done.facts[0].state is PrizeState.CLAIMABLE
        void = await self.run(bench, self.story(), b.outcome_broadcasted(written_off=("entry-1",)))
        assert void.facts[0].state is PrizeState.CLAIMABLE
        assert bench.services.lightning.sent == []

    async def test_replaced_payout_ends_the_duty_of_the_old_hash(self, bench) -> None:
        assert await self.run(bench, self.story(payment_hash="9" * 64)) == Done()
