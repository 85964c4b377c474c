"""Whatever happens, in whatever order: no satoshi appears or vanishes, and disk and memory agree."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from coordinator.embedded.lightning.errors import LndError
from coordinator.embedded.lightning.invoices import InvoiceOrder
from coordinator.embedded.lightning.model import AttemptStatus, InvoiceState, Mode, PaymentStatus
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.payments import PaymentOrder
from coordinator.embedded.lightning.state import pair_key

WALLETS = ("coordinator", "alice", "bob")
NODES = (*WALLETS, "router")
Made = tuple[str, bytes, str]
"""Payee, preimage (or nothing, when the node drew it), payment request."""


class Lightning(RuleBasedStateMachine):
    """Nodes that invoice, pay, hold, settle, cancel, fail, wait, mine and crash."""

    invoices: Bundle[Made] = Bundle("invoices")
    held: Bundle[Made] = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 1_800_000_000.0
        self.drawn = 0
        self.network = Network(self.folder, lambda: self.now)
        self.network.set_tip(100, "00" * 32, 0)
        for alias in NODES:
            self.network.add_node(alias)
        for alias in WALLETS:
            self.network.open_channel(alias, "router", 300_000, 140_000)
        self.network.open_channel("alice", "router", 200_000, 90_000)
        self.total_msat = 1_100_000_000

    def teardown(self) -> None:
        self.network.close()
        shutil.rmtree(self.folder)

    @rule(target=invoices, payee=st.sampled_from(WALLETS), sats=st.integers(1, 250_000))
    def plain_invoice(self, payee: str, sats: int) -> Made:
        invoice = self.network.add_invoice(payee, InvoiceOrder(value_msat=sats * 1000))
        return payee, b"", invoice.payment_request

    @rule(targets=(invoices, held), payee=st.sampled_from(WALLETS), sats=st.integers(1, 250_000))
    def hold_invoice(self, payee: str, sats: int) -> Made:
        self.drawn += 1
        preimage = hashlib.sha256(b"%d" % self.drawn).digest()
        order = InvoiceOrder(value_msat=sats * 1000, payment_hash=hashlib.sha256(preimage).digest(), cltv_expiry=30)
        return payee, preimage, self.network.add_invoice(payee, order).payment_request

    @rule(payer=st.sampled_from(NODES), made=invoices, fee=st.integers(0, 20), parts=st.integers(0, 3))
    def pay(self, payer: str, made: Made, fee: int, parts: int) -> None:
        order = PaymentOrder(made[2], fee_limit_msat=fee * 1000, timeout_seconds=30, max_parts=parts)
        try:
            self.network.send(payer, order)
        except LndError:
            return

    @rule(made=consumes(held), settle=st.booleans())
    def end_hold(self, made: Made, settle: bool) -> None:
        payee, preimage, _ = made
        try:
            if settle:
                self.network.settle_invoice(payee, preimage)
            else:
                self.network.cancel_invoice(payee, hashlib.sha256(preimage).digest())
        except LndError:
            return

    @rule(target=held, made=consumes(held))
    def leave_hold(self, made: Made) -> Made:
        return made

    @rule(alias=st.sampled_from(NODES), mode=st.sampled_from(list(Mode)))
    def fault(self, alias: str, mode: Mode) -> None:
        self.network.set_mode(alias, mode)

    @rule()
    def all_well(self) -> None:
        for alias in NODES:
            self.network.set_mode(alias, Mode.OK)

    @rule(blocks=st.sampled_from([-2, 1, 5, 20, 60, 150]))
    def mine(self, blocks: int) -> None:
        height = self.network.tip().height + blocks
        self.network.set_tip(height, f"{height:064x}", 0)

    @rule(seconds=st.sampled_from([1, 31, 121, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.network.tick()

    @rule()
    def restart(self) -> None:
        self.network.close()
        self.network = Network(self.folder, lambda: self.now)

    @invariant()
    def no_satoshi_appears_or_vanishes(self) -> None:
        total = 0
        for channel in self.network.state.channels.values():
            held = sum(htlc.amount_msat for htlc in channel.htlcs)
            assert min(channel.balances.values()) >= 0
            assert sum(channel.balances.values()) + held == channel.capacity_sat * 1000
            total += sum(channel.balances.values()) + held
        assert total == self.total_msat

    @invariant()
    def htlcs_belong_to_live_attempts(self) -> None:
        state = self.network.state
        held = sum(len(channel.htlcs) for channel in state.channels.values())
        assert held == sum(attempt.held for attempt in state.attempts.values())
        for attempt in state.attempts.values():
            assert attempt.status is AttemptStatus.IN_FLIGHT or attempt.held == 0

    @invariant()
    def payments_and_invoices_agree(self) -> None:
        state = self.network.state
        for payment in state.payments.values():
            if payment.status is PaymentStatus.SUCCEEDED:
                assert hashlib.sha256(payment.preimage).digest() == payment.payment_hash
                assert payment.fee_msat <= payment.fee_limit_msat
                attempts = [state.attempts.peek(key) for key in payment.attempts]
                paid = [a for a in attempts if a is not None and a.status is AttemptStatus.SUCCEEDED]
                assert sum(attempt.hops[-1].amount_msat for attempt in paid) == payment.value_msat
                payee = paid[0].hops[-1].node
                invoice = state.invoices.peek(pair_key(payee, payment.payment_hash))
                assert invoice is not None
                assert invoice.state is InvoiceState.SETTLED
            elif payment.status is PaymentStatus.FAILED:
                assert payment.attempts == []

    @invariant()
    def every_settled_invoice_was_or_will_be_paid_once(self) -> None:
        state = self.network.state
        for invoice in state.invoices.values():
            payers = [
                attempt
                for attempt in state.attempts.values()
                if attempt.payment_hash == invoice.payment_hash and attempt.preimage
            ]
            paid = sum(attempt.hops[-1].amount_msat for attempt in payers)
            assert paid == (invoice.amount_paid_msat if invoice.state is InvoiceState.SETTLED else 0)

    @invariant()
    def disk_and_memory_agree(self) -> None:
        state = self.network.state
        tables = (state.nodes, state.channels, state.invoices, state.payments, state.attempts)
        before = [list(table.values()) for table in tables]
        state.reload()
        assert sorted(map(repr, (item for rows in before for item in rows))) == sorted(
            map(repr, (item for table in tables for item in table.values()))
        )


TestLightning = Lightning.TestCase
TestLightning.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
