"""The rules of money at the network itself: holds, limits, faults, expiries, restarts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.embedded.lightning import bolt11
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.invoices import InvoiceOrder
from coordinator.embedded.lightning.model import (
    FailureReason,
    HtlcState,
    Invoice,
    InvoiceState,
    Mode,
    Payment,
    PaymentStatus,
)
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.payments import PaymentOrder
from coordinator.embedded.lightning.routing import RouteQuery
from coordinator.embedded.lightning.state import pair_key
from coordinator_core.errors import InvalidInput, Misuse

PREIMAGE = b"p" * 32
HASH = hashlib.sha256(PREIMAGE).digest()
HEIGHT = 200


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Net:
    """A network with coordinator, router, alice and bob, and short names for what the tests do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.network = Network(folder, self.clock)
        self.mine(HEIGHT)
        for alias in ("coordinator", "router", "alice", "bob"):
            self.network.add_node(alias)
        self.network.open_channel("coordinator", "router", 5_000_000, 2_500_000)
        self.network.open_channel("alice", "router", 1_000_000, 500_000)
        self.network.open_channel("bob", "router", 1_000_000, 500_000)
        self.total = self.money()

    def restart(self) -> None:
        self.network.close()
        self.network = Network(self.folder, self.clock)

    def mine(self, height: int) -> None:
        self.network.set_tip(height, f"{height:064x}", 0)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.network.tick()

    def money(self) -> int:
        channels = self.network.state.channels.values()
        for channel in channels:
            held = sum(htlc.amount_msat for htlc in channel.htlcs)
            assert sum(channel.balances.values()) + held == channel.capacity_sat * 1000
            assert all(balance >= 0 for balance in channel.balances.values())
        return sum(channel.capacity_sat for channel in channels)

    def balance(self, alias: str) -> int:
        return sum(channel.balances[alias] for channel in self.network.state.channels_of(alias))

    def hold(self, sats: int = 50_000, **fields: int) -> Invoice:
        order = InvoiceOrder(value_msat=sats * 1000, payment_hash=HASH, **fields)
        return self.network.add_invoice("coordinator", order)

    def plain(self, alias: str, sats: int) -> Invoice:
        return self.network.add_invoice(alias, InvoiceOrder(value_msat=sats * 1000))

    def pay(self, alias: str, invoice: Invoice, **fields: int) -> Payment:
        order = PaymentOrder(invoice.payment_request, **{"fee_limit_msat": 10_000_000, **fields})
        self.network.send(alias, order)
        return self.payment(alias, invoice.payment_hash)

    def payment(self, alias: str, payment_hash: bytes) -> Payment:
        payment = self.network.state.payments.peek(pair_key(alias, payment_hash))
        assert payment is not None
        return payment

    def invoice(self, payment_hash: bytes = HASH, alias: str = "coordinator") -> Invoice:
        return self.network.find_invoice(alias, payment_hash)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    yield net
    assert net.money() == net.total or net.total == 0
    net.network.close()


def test_hold_settles(net: Net) -> None:
    before = net.balance("coordinator")
    assert net.pay("alice", net.hold()).status is PaymentStatus.IN_FLIGHT
    assert net.invoice().state is InvoiceState.ACCEPTED
    assert net.balance("coordinator") == before
    net.network.settle_invoice("coordinator", PREIMAGE)
    payment = net.payment("alice", HASH)
    assert (payment.status, payment.preimage, payment.fee_msat) == (PaymentStatus.SUCCEEDED, PREIMAGE, 1050)
    assert net.balance("coordinator") == before + 50_000_000
    assert net.invoice().state is InvoiceState.SETTLED


def test_cancel_gives_all_back(net: Net) -> None:
    before = net.balance("alice")
    net.pay("alice", net.hold())
    assert net.balance("alice") == before - 50_001_050
    net.network.cancel_invoice("coordinator", HASH)
    assert net.balance("alice") == before
    assert net.payment("alice", HASH).failure_reason is FailureReason.INCORRECT_PAYMENT_DETAILS


def test_settle_and_cancel_exclude_each_other(net: Net) -> None:
    net.pay("alice", net.hold())
    net.network.cancel_invoice("coordinator", HASH)
    net.network.cancel_invoice("coordinator", HASH)
    with pytest.raises(LndError, match="already canceled"):
        net.network.settle_invoice("coordinator", PREIMAGE)
    with pytest.raises(LndError, match="already exists"):
        net.hold()


def test_expiry_height_and_automatic_cancel(net: Net) -> None:
    net.pay("alice", net.hold(cltv_expiry=30))
    assert net.invoice().htlcs[0].expiry_height == HEIGHT + 33
    net.mine(HEIGHT + 33 - 19)
    assert net.invoice().state is InvoiceState.ACCEPTED
    net.mine(HEIGHT + 33 - 18)
    assert net.invoice().state is InvoiceState.CANCELED
    assert net.payment("alice", HASH).status is PaymentStatus.FAILED


def test_open_invoice_expires_by_time_but_not_a_held_one(net: Net) -> None:
    unpaid, held = net.plain("coordinator", 5), net.hold(expiry=60)
    net.pay("alice", held)
    net.wait(90_000)
    assert net.invoice(unpaid.payment_hash).state is InvoiceState.CANCELED
    assert net.invoice().state is InvoiceState.ACCEPTED


def part(net: Net, sats: int, total: int, payer: str = "alice") -> None:
    query = RouteQuery(payer, "coordinator", sats * 1000, 1 << 60, 90, 2016, path=("router", "coordinator"))
    route = net.network.build_route(query)
    net.network.send_route(payer, HASH, route, net.invoice().payment_addr, total * 1000)


def test_parts_are_accepted_only_together(net: Net) -> None:
    net.hold()
    part(net, 20_000, 50_000)
    assert (net.invoice().state, net.invoice().amount_paid_msat) == (InvoiceState.OPEN, 0)
    with pytest.raises(LndError, match="still open"):
        net.network.settle_invoice("coordinator", PREIMAGE)
    part(net, 30_000, 50_000)
    assert (net.invoice().state, net.invoice().amount_paid_msat) == (InvoiceState.ACCEPTED, 50_000_000)
    net.network.settle_invoice("coordinator", PREIMAGE)
    assert net.payment("alice", HASH).status is PaymentStatus.SUCCEEDED


def test_incomplete_parts_are_dropped_after_two_minutes(net: Net) -> None:
    before = net.balance("alice")
    net.hold()
    part(net, 20_000, 50_000)
    net.wait(119)
    assert net.balance("alice") < before
    net.wait(1)
    assert net.balance("alice") == before
    assert net.invoice().state is InvoiceState.OPEN
    assert net.invoice().htlcs[0].state is HtlcState.CANCELED
    part(net, 30_000, 50_000)
    assert net.invoice().state is InvoiceState.OPEN


def test_a_payment_splits_over_channels(net: Net) -> None:
    net.network.open_channel("alice", "router", 1_000_000, 400_000)
    net.total = net.money()
    payment = net.pay("alice", net.plain("coordinator", 900_000))
    assert payment.status is PaymentStatus.SUCCEEDED
    assert len(payment.attempts) > 1
    assert payment.fee_msat == 1000 * len(payment.attempts) + 900


def test_without_leave_to_split_it_does_not(net: Net) -> None:
    net.network.open_channel("alice", "router", 1_000_000, 400_000)
    net.total = net.money()
    payment = net.pay("alice", net.plain("coordinator", 900_000), max_parts=1)
    assert payment.failure_reason is FailureReason.NO_ROUTE


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"fee_limit_msat": 1049}, FailureReason.NO_ROUTE),
        ({"fee_limit_msat": 1050}, FailureReason.NONE),
        ({"cltv_limit": 162}, FailureReason.NO_ROUTE),
        ({"cltv_limit": 163}, FailureReason.NONE),
    ],
)
def test_limits_are_kept(net: Net, limits: dict[str, int], reason: FailureReason) -> None:
    assert net.pay("alice", net.plain("coordinator", 50_000), **limits).failure_reason is reason


def test_the_reserve_stays_in_the_channel(net: Net) -> None:
    # 500,000 less 1 % of the capacity, anchors 660, and the commitment fee with one HTLC, 3,240
    spendable = 500_000 - 10_000 - 660 - 3_240
    too_much, all_of_it = net.plain("router", spendable + 1), net.plain("router", spendable)
    assert net.pay("alice", too_much).failure_reason is FailureReason.INSUFFICIENT_BALANCE
    assert net.pay("alice", all_of_it).status is PaymentStatus.SUCCEEDED


def test_a_router_that_fails_leaves_no_route(net: Net) -> None:
    net.network.set_mode("router", Mode.FAIL)
    invoice = net.plain("coordinator", 50_000)
    assert net.pay("alice", invoice).failure_reason is FailureReason.NO_ROUTE
    net.network.set_mode("router", Mode.OK)
    assert net.pay("alice", invoice).status is PaymentStatus.SUCCEEDED


def test_a_router_that_holds_keeps_the_payment_in_flight(net: Net) -> None:
    net.network.set_mode("router", Mode.HOLD)
    invoice = net.plain("coordinator", 50_000)
    assert net.pay("alice", invoice).status is PaymentStatus.IN_FLIGHT
    with pytest.raises(LndError) as refused:
        net.pay("alice", invoice)
    assert refused.value.grpc_code is Code.ALREADY_EXISTS
    net.network.set_mode("router", Mode.OK)
    assert net.payment("alice", invoice.payment_hash).status is PaymentStatus.SUCCEEDED


def test_a_result_held_back_is_unknown_to_the_payer_and_comes_in_time(net: Net) -> None:
    net.pay("alice", net.hold())
    net.network.set_mode("router", Mode.HOLD)
    net.network.settle_invoice("coordinator", PREIMAGE)
    assert net.invoice().state is InvoiceState.SETTLED
    assert net.payment("alice", HASH).status is PaymentStatus.IN_FLIGHT
    net.mine(HEIGHT + 163 - 11)
    assert net.payment("alice", HASH).status is PaymentStatus.IN_FLIGHT
    net.mine(HEIGHT + 163 - 10)
    assert net.payment("alice", HASH).status is PaymentStatus.SUCCEEDED


def test_a_held_htlc_fails_back_when_it_expires(net: Net) -> None:
    before = net.balance("alice")
    net.network.set_mode("router", Mode.HOLD)
    invoice = net.plain("coordinator", 50_000)
    net.pay("alice", invoice, timeout_seconds=10)
    net.wait(11)
    net.mine(HEIGHT + 162)
    assert net.payment("alice", invoice.payment_hash).status is PaymentStatus.IN_FLIGHT
    net.mine(HEIGHT + 163)
    payment = net.payment("alice", invoice.payment_hash)
    assert (payment.status, payment.failure_reason) == (PaymentStatus.FAILED, FailureReason.TIMEOUT)
    assert net.balance("alice") == before


def test_a_payee_that_rejects_is_final(net: Net) -> None:
    net.network.set_mode("bob", Mode.FAIL)
    payment = net.pay("coordinator", net.plain("bob", 1000))
    assert payment.failure_reason is FailureReason.INCORRECT_PAYMENT_DETAILS


def test_a_payee_that_is_away_leaves_no_route(net: Net) -> None:
    net.network.set_mode("bob", Mode.OFFLINE)
    assert net.pay("coordinator", net.plain("bob", 1000)).failure_reason is FailureReason.NO_ROUTE


def test_failed_may_be_paid_again_and_paid_may_not(net: Net) -> None:
    invoice = net.plain("bob", 1000)
    net.network.set_mode("router", Mode.FAIL)
    first = net.pay("coordinator", invoice).payment_index
    net.network.set_mode("router", Mode.OK)
    payment = net.pay("coordinator", invoice)
    assert (payment.status, payment.payment_index) == (PaymentStatus.SUCCEEDED, first + 1)
    with pytest.raises(LndError, match="already paid"):
        net.pay("coordinator", invoice)
    with pytest.raises(LndError) as unknown:
        net.network.find_payment("coordinator", b"?" * 32)
    assert unknown.value.grpc_code is Code.NOT_FOUND


def test_a_route_that_underpays_the_router_is_refused(net: Net) -> None:
    net.hold()
    query = RouteQuery("alice", "coordinator", 50_000_000, 1 << 60, 90, 2016, path=("router", "coordinator"))
    route = net.network.build_route(query)
    route.hops[0].fee_msat -= 1
    attempt = net.network.send_route("alice", HASH, route, net.invoice().payment_addr, 50_000_000)
    assert attempt.failure is not None
    assert attempt.failure.code == "FEE_INSUFFICIENT"


@pytest.mark.parametrize("wrong", ["secret", "total", "expiry"])
def test_a_payment_that_does_not_fit_the_invoice_is_rejected(net: Net, wrong: str) -> None:
    net.hold(cltv_expiry=80)
    delta = 79 if wrong == "expiry" else 80
    query = RouteQuery("alice", "coordinator", 50_000_000, 1 << 60, delta, 2016, path=("router", "coordinator"))
    secret = bytes(32) if wrong == "secret" else net.invoice().payment_addr
    total = 49_999_999 if wrong == "total" else 50_000_000
    attempt = net.network.send_route("alice", HASH, net.network.build_route(query), secret, total)
    assert attempt.failure is not None
    assert attempt.failure.code == "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
    assert net.invoice().htlcs == []


def test_everything_survives_a_restart(net: Net) -> None:
    net.pay("alice", net.hold())
    paid = net.plain("bob", 1000)
    net.pay("coordinator", paid)
    net.network.set_mode("router", Mode.HOLD)
    stuck = net.plain("bob", 2000)
    net.pay("coordinator", stuck)
    keys = {alias: net.network.node_key(alias).public_key for alias in ("coordinator", "router")}
    net.restart()
    assert {alias: net.network.node_key(alias).public_key for alias in keys} == keys
    assert net.invoice().state is InvoiceState.ACCEPTED
    assert net.payment("coordinator", paid.payment_hash).status is PaymentStatus.SUCCEEDED
    net.network.set_mode("router", Mode.OK)
    net.network.settle_invoice("coordinator", PREIMAGE)
    assert net.payment("alice", HASH).status is PaymentStatus.SUCCEEDED
    assert net.payment("coordinator", stuck.payment_hash).status is PaymentStatus.SUCCEEDED


def test_an_operation_that_breaks_leaves_no_trace(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    net.hold()
    before = net.balance("alice")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(net.network._store, "write", broken)
        with pytest.raises(OSError, match="disk full"):
            net.pay("alice", net.invoice())
    assert net.balance("alice") == before
    assert net.network.state.payments.peek(pair_key("alice", HASH)) is None
    assert net.invoice().state is InvoiceState.OPEN


def test_an_attempt_has_one_result(net: Net) -> None:
    net.pay("alice", net.hold())
    key = net.payment("alice", HASH).attempts[0]
    net.network.settle_invoice("coordinator", PREIMAGE)
    with pytest.raises(Misuse, match="twice"):
        net.network._forwarder.resolve(net.network.state.attempts.take(key))


def test_the_request_names_the_node(net: Net) -> None:
    request = bolt11.decode(net.hold().payment_request)
    assert request.payee == net.network.node("coordinator").public_key


@pytest.mark.parametrize("alias", ["", "alice", "a b", "x" * 33, "../x"])
def test_bad_aliases_are_refused(net: Net, alias: str) -> None:
    with pytest.raises(InvalidInput):
        net.network.add_node(alias)


@pytest.mark.parametrize(
    ("opener", "peer", "capacity", "pushed"),
    [
        ("alice", "alice", 1_000_000, 0),
        ("alice", "nobody", 1_000_000, 0),
        ("alice", "router", 1, 0),
        ("alice", "router", 1_000_000, 1_000_000),
        ("alice", "router", 1_000_000, -1),
    ],
)
def test_bad_channels_are_refused(net: Net, opener: str, peer: str, capacity: int, pushed: int) -> None:
    with pytest.raises(InvalidInput):
        net.network.open_channel(opener, peer, capacity, pushed)
