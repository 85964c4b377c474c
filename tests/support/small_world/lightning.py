"""A Lightning node: hold invoices that it cancels by itself, payments that end once. Amounts in satoshi."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from coordinator.domain.facts import HoldState

CANCEL_DELTA = 18


@dataclass
class Hold:
    """One hold invoice."""

    value: int
    expires_at: int
    cltv: int
    state: HoldState = HoldState.OPEN
    accepted_at: int | None = None
    expiry_height: int | None = None


class Sent(Enum):
    """What became of a payment."""

    IN_FLIGHT = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    REJECTED = auto()
    """By the payee: final."""


@dataclass
class Payment:
    """The last attempt on a payment hash; `until` is the height at which its HTLCs end."""

    entry_id: str
    amount: int
    until: int
    state: Sent = Sent.IN_FLIGHT


@dataclass
class Lightning:
    """Books of the node. `paid` has one row for each payment that arrived."""

    holds: dict[str, Hold] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    paid: list[tuple[str, int]] = field(default_factory=list)

    def accept(self, payment_hash: str, now: int, tip: int) -> bool:
        """A player pays; False when the invoice is not to be paid any more."""
        hold = self.holds.get(payment_hash)
        if hold is None or hold.state is not HoldState.OPEN or now >= hold.expires_at:
            return False
        hold.state, hold.accepted_at, hold.expiry_height = HoldState.ACCEPTED, now, tip + hold.cltv
        return True

    def settle(self, payment_hash: str) -> Hold:
        hold = self.holds[payment_hash]
        if hold.state is HoldState.ACCEPTED:
            hold.state = HoldState.SETTLED
        return hold

    def cancel(self, payment_hash: str) -> Hold:
        hold = self.holds[payment_hash]
        if hold.state in (HoldState.OPEN, HoldState.ACCEPTED):
            hold.state = HoldState.CANCELED
        return hold

    def pay(self, payment_hash: str, entry_id: str, amount: int, until: int) -> None:
        """Refused while an attempt on the hash is in flight or arrived, as LND does."""
        last = self.payments.get(payment_hash)
        if last is None or last.state in (Sent.FAILED, Sent.REJECTED):
            self.payments[payment_hash] = Payment(entry_id, amount, until)

    def resolve(self, payment_hash: str, state: Sent) -> None:
        payment = self.payments[payment_hash]
        payment.state = state
        if state is Sent.SUCCEEDED:
            self.paid.append((payment.entry_id, payment.amount))

    def in_flight(self) -> list[str]:
        return [h for h, p in self.payments.items() if p.state is Sent.IN_FLIGHT]

    def look(self, now: int, tip: int) -> None:
        """Time or a block passed: open invoices expire, holds that come too close are given back, HTLCs end."""
        for hold in self.holds.values():
            if hold.state is HoldState.OPEN and now >= hold.expires_at:
                hold.state = HoldState.CANCELED
            held = hold.state is HoldState.ACCEPTED and hold.expiry_height is not None
            if held and (hold.expiry_height or 0) - CANCEL_DELTA <= tip:
                hold.state = HoldState.CANCELED
        for payment_hash in self.in_flight():
            if tip >= self.payments[payment_hash].until:
                self.resolve(payment_hash, Sent.FAILED)
