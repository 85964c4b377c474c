"""Payments: refused, started, split, tried again, ended. The rules are those measured on LND 0.21.

A payment keeps its limits over all its tries. A try that fails on the way closes that edge for this payment and
the next route is tried, until none is left or the time for new tries is over; a held HTLC outlives that time. What
the payee rejects is final. After FAILED the same hash may be paid anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from coordinator.embedded.lightning import bolt11
from coordinator.embedded.lightning.bolt11 import PaymentRequest
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.clock import Clock
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.forwarding import Forwarder
from coordinator.embedded.lightning.invoices import Invoices
from coordinator.embedded.lightning.model import (
    Attempt,
    AttemptStatus,
    Failure,
    FailureReason,
    Payment,
    PaymentStatus,
)
from coordinator.embedded.lightning.routing import (
    InsufficientBalance,
    NoRoute,
    Route,
    RouteQuery,
    find_route,
)
from coordinator.embedded.lightning.state import State, pair_key

BLOCK_PADDING: Final = 3
"""Blocks that an LND payer adds to the payee's final CLTV delta."""
DEFAULT_CLTV_LIMIT: Final = 2016
DEFAULT_MAX_PARTS: Final = 16
LEAST_PART_MSAT: Final = 10_000 * MSAT
DEFAULT_TIMEOUT: Final = 60
_FINAL_CODE: Final = "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
_WAITING_CODE: Final = "MPP_TIMEOUT"


@dataclass(frozen=True)
class PaymentOrder:
    """What to pay and within which limits. Zeros mean the defaults; no fee limit means none is paid."""

    payment_request: str
    amount_msat: int = 0
    fee_limit_msat: int = 0
    cltv_limit: int = 0
    timeout_seconds: int = 0
    max_parts: int = 0


class Payments:
    """The payments of the network."""

    def __init__(self, state: State, clock: Clock, forwarder: Forwarder, invoices: Invoices) -> None:
        self._state = state
        self._clock = clock
        self._forwarder = forwarder
        self._invoices = invoices

    def send(self, alias: str, order: PaymentOrder) -> Payment:
        """Start a payment. Raises LndError when it cannot even begin, code 6 when it is under way or done."""
        request = bolt11.decode(order.payment_request)
        amount_msat = self._amount(alias, order, request)
        final_delta = request.final_cltv_delta + BLOCK_PADDING
        cltv_limit = order.cltv_limit or DEFAULT_CLTV_LIMIT
        if cltv_limit <= final_delta:
            raise LndError(f"cltv limit {cltv_limit} should be greater than {final_delta}")
        self._check_new(alias, request.payment_hash)
        payment = self._add(alias, request.payment_hash, amount_msat, order)
        payment.cltv_limit = cltv_limit
        self._state.agenda.append(pair_key(alias, request.payment_hash))
        return payment

    def _amount(self, alias: str, order: PaymentOrder, request: PaymentRequest) -> int:
        node = self._state.nodes.peek(alias)
        if self._clock.now() > request.expires_at:
            raise LndError("invoice expired. Valid until " + _utc(request.expires_at))
        if request.amount_msat and order.amount_msat:
            raise LndError("amount must not be specified when paying a non-zero amount invoice")
        if not request.amount_msat and not order.amount_msat:
            raise LndError("amount must be specified when paying a zero amount invoice")
        if node is not None and request.payee == node.public_key:
            raise LndError("self-payments not allowed")
        return request.amount_msat or order.amount_msat

    def _check_new(self, alias: str, payment_hash: bytes) -> None:
        payment = self._state.payments.peek(pair_key(alias, payment_hash))
        if payment is None or payment.status is PaymentStatus.FAILED:
            return
        if payment.status is PaymentStatus.SUCCEEDED:
            raise LndError("invoice is already paid", Code.ALREADY_EXISTS)
        raise LndError("payment is in transition", Code.ALREADY_EXISTS)

    def _add(self, alias: str, payment_hash: bytes, amount_msat: int, order: PaymentOrder) -> Payment:
        node = self._state.nodes.take(alias)
        node.last_payment_index += 1
        payment = Payment(
            payer=alias,
            payment_hash=payment_hash,
            value_msat=amount_msat,
            payment_request=order.payment_request,
            payment_index=node.last_payment_index,
            created_ns=self._clock.nanoseconds(),
            deadline=self._clock.now() + (order.timeout_seconds or DEFAULT_TIMEOUT),
            fee_limit_msat=order.fee_limit_msat,
            cltv_limit=order.cltv_limit,
            max_parts=order.max_parts or DEFAULT_MAX_PARTS,
        )
        self._state.publish_payment(payment)
        return self._state.payments.add(payment)

    def send_route(
        self, alias: str, payment_hash: bytes, route: Route, payment_addr: bytes, total_msat: int
    ) -> Attempt:
        """Try one route that the caller made. Raises LndError (code 6) when the hash is paid."""
        key = pair_key(alias, payment_hash)
        payment = self._state.payments.peek(key)
        if payment is not None and payment.status is PaymentStatus.SUCCEEDED:
            raise LndError("invoice is already paid", Code.ALREADY_EXISTS)
        if payment is None or payment.status is PaymentStatus.FAILED:
            payment = self._add(alias, payment_hash, total_msat, PaymentOrder(payment_request=""))
            payment.by_route = True
        elif not payment.by_route:
            raise LndError("payment is in transition", Code.ALREADY_EXISTS)
        else:
            self._state.nodes.take(alias).last_payment_index += 1
        return self._launch(self._state.payments.take(key), route, payment_addr, total_msat)

    def drain(self) -> None:
        """Take every payment on with which something happened, until nothing happens any more."""
        while self._state.agenda:
            self._proceed(self._state.payments.take(self._state.agenda.popleft()))

    def _proceed(self, payment: Payment) -> None:
        if payment.status is not PaymentStatus.IN_FLIGHT:
            return
        attempts = self._attempts(payment)
        self._learn(payment, attempts)
        if payment.failure_reason is FailureReason.NONE and not payment.by_route:
            self._try_on(payment)
        self._end(payment)

    def _learn(self, payment: Payment, attempts: Iterable[Attempt]) -> None:
        """Draw the lessons of tries that ended: preimage and fees, a final refusal, edges to avoid."""
        payment.fee_msat = 0
        for attempt in attempts:
            if attempt.status is AttemptStatus.SUCCEEDED:
                payment.preimage = attempt.preimage
                payment.fee_msat += sum(hop.fee_msat for hop in attempt.hops)
            elif attempt.failure is not None and attempt.status is AttemptStatus.FAILED:
                self._learn_failure(payment, attempt, attempt.failure)

    def _learn_failure(self, payment: Payment, attempt: Attempt, failure: Failure) -> None:
        if failure.code == _FINAL_CODE:
            payment.failure_reason = FailureReason.INCORRECT_PAYMENT_DETAILS
        elif failure.code != _WAITING_CODE:
            position = min(failure.source_index, len(attempt.hops) - 1)
            edge = (attempt.hops[position].chan_id, self._forwarder.sender(attempt, position))
            if edge not in payment.closed_edges:
                payment.closed_edges.append(edge)

    def _try_on(self, payment: Payment) -> None:
        """Launch tries for what is not yet under way; each may split, and may end at once."""
        missing = self._missing_msat(payment)
        while missing > 0 and payment.failure_reason is FailureReason.NONE:
            if self._clock.now() > payment.deadline:
                payment.failure_reason = FailureReason.TIMEOUT
                return
            request = bolt11.decode(payment.payment_request)
            try:
                route = self._route(payment, request, missing)
            except InsufficientBalance:
                payment.failure_reason = FailureReason.INSUFFICIENT_BALANCE
            except NoRoute:
                payment.failure_reason = FailureReason.NO_ROUTE
            else:
                self._launch(payment, route, request.payment_addr, payment.value_msat)
                self._learn(payment, self._attempts(payment))
                missing = self._missing_msat(payment)

    def _route(self, payment: Payment, request: PaymentRequest, missing_msat: int) -> Route:
        """A route for all that is missing, or for the largest half, quarter, ... that finds one."""
        alive = [item for item in self._attempts(payment) if item.status is not AttemptStatus.FAILED]
        spent = sum(hop.fee_msat for attempt in alive for hop in attempt.hops)
        amount = missing_msat
        while True:
            query = RouteQuery(
                payer=payment.payer,
                payee=self._alias(request.payee),
                amount_msat=amount,
                fee_limit_msat=payment.fee_limit_msat - spent,
                final_delta=request.final_cltv_delta + BLOCK_PADDING,
                cltv_limit=payment.cltv_limit,
                closed_edges=payment.closed_edges,
            )
            try:
                return find_route(self._state, query)
            except InsufficientBalance:
                raise
            except NoRoute:
                amount //= 2
                if amount < LEAST_PART_MSAT or len(alive) + 1 >= payment.max_parts:
                    raise

    def _alias(self, public_key: bytes) -> str:
        for node in self._state.nodes.values():
            if node.public_key == public_key:
                return node.alias
        return ""

    def _launch(self, payment: Payment, route: Route, payment_addr: bytes, total_msat: int) -> Attempt:
        node = self._state.nodes.take(payment.payer)
        node.last_attempt_id += 1
        attempt = self._state.attempts.add(
            Attempt(
                key=f"{payment.payer}:{node.last_attempt_id}",
                payer=payment.payer,
                attempt_id=node.last_attempt_id,
                payment_hash=payment.payment_hash,
                payment_addr=payment_addr,
                total_msat=total_msat,
                time_lock=route.time_lock,
                hops=route.hops,
                started_ns=self._clock.nanoseconds(),
            )
        )
        payment.attempts.append(attempt.key)
        self._state.publish_payment(payment)
        self.carry(attempt)
        return attempt

    def carry(self, attempt: Attempt) -> None:
        """Move an attempt on; at its end the payee looks at it."""
        if self._forwarder.advance(attempt):
            self._invoices.receive(attempt)

    def _end(self, payment: Payment) -> None:
        """Close a payment of which no try is under way. The tries of a failed one are forgotten, as LND does."""
        attempts = self._attempts(payment)
        if any(attempt.status is AttemptStatus.IN_FLIGHT for attempt in attempts):
            if any(attempt.status is not AttemptStatus.IN_FLIGHT for attempt in attempts):
                self._state.publish_payment(payment)
            return
        if any(attempt.status is AttemptStatus.SUCCEEDED for attempt in attempts):
            payment.status = PaymentStatus.SUCCEEDED
            payment.failure_reason = FailureReason.NONE
            self._state.publish_payment(payment)
            return
        if payment.by_route and payment.failure_reason is FailureReason.NONE:
            payment.failure_reason = FailureReason.NO_ROUTE
        if payment.failure_reason is not FailureReason.NONE:
            payment.status = PaymentStatus.FAILED
            self._state.publish_payment(payment)
            for key in payment.attempts:
                self._state.attempts.remove(key)
            payment.attempts = []

    def _attempts(self, payment: Payment) -> list[Attempt]:
        return [self._state.attempts.take(key) for key in payment.attempts]

    def _missing_msat(self, payment: Payment) -> int:
        alive = (item for item in self._attempts(payment) if item.status is not AttemptStatus.FAILED)
        return payment.value_msat - sum(attempt.hops[-1].amount_msat for attempt in alive)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
