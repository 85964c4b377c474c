"""Holds and prizes over Lightning."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.duties.base import Channel, Duty, OfAttempt, Urgency


class CreateInvoice(Duty, frozen=True, kw_only=True, tag="ln.create_invoice"):
    """Make the hold invoice of one generation of a ticket."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    protective: ClassVar[bool] = False
    entry_id: str
    generation: int
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class WatchInvoice(Duty, frozen=True, kw_only=True, tag="ln.watch_invoice"):
    """Look an invoice up until it is SETTLED or CANCELED."""

    channel: ClassVar[Channel] = Channel.WATCH
    urgency: ClassVar[Urgency] = Urgency.NOTICE
    protective: ClassVar[bool] = True
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class ReadHolds(OfAttempt, frozen=True, kw_only=True, tag="ln.read_holds"):
    """Read every hold of the roster again, just before an irrevocable step."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class DecideHolds(OfAttempt, frozen=True, kw_only=True, tag="ln.decide_holds"):
    """Holds run short: ask the node whether it holds the funding, and decide for all tickets at once."""

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    funding_txid: str


class SettleInvoice(Duty, frozen=True, kw_only=True, tag="ln.settle"):
    """Release a ticket preimage: only after the funding has required_confirmations."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class CancelInvoice(Duty, frozen=True, kw_only=True, tag="ln.cancel"):
    """Give a held payment back."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class PayPrize(Duty, frozen=True, kw_only=True, tag="ln.pay"):
    """Pay a winner's invoice; the payout row was committed before. While its competition is stopped it only asks what
    became of the payment: protective, because a sweep waits for the answer.
    """

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str
    cltv_limit: int
    """Blocks from tip + 3, as of the state that wanted it; computed anew at each try."""

    @property
    def key(self) -> str:
        return self.payment_hash

    def id(self, lane: str) -> str:
        return f"{lane}/{self.kind()}/{self.payment_hash}"
