"""The network in memory, and the one way to change it: `change()`, which ends on disk or not at all.

An operation takes objects from the tables; when it ends, each object it took is written if it differs from what
the disk holds. So no operation can forget to save. What it published is heard only after that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, ValuesView
from contextlib import contextmanager
from copy import deepcopy
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from coordinator.embedded.lightning.events import Bus, InvoiceEvent, PaymentEvent
from coordinator.embedded.lightning.model import (
    Attempt,
    AttemptStatus,
    Channel,
    Invoice,
    InvoiceState,
    Node,
    Payment,
)
from coordinator.embedded.lightning.store import Row, Store

Value = TypeVar("Value", bound=Struct)


class Tip(Struct):
    """What the node knows of the chain. `clock_offset` moves the wall clock, for tests."""

    height: int = 0
    block_hash: str = "00" * 32
    header_time: int = 0
    clock_offset: float = 0.0
    channels_opened: int = 0


class Table(Generic[Value]):
    """Objects of one kind by key. `take` is for operations, `peek` and `values` only for reading."""

    def __init__(self, kind: str, struct: type[Value], key: Callable[[Value], str]) -> None:
        self.kind = kind
        self._key = key
        self._decoder = msgspec.json.Decoder(struct)
        self._rows: dict[str, Value] = {}
        self._stored: dict[str, bytes] = {}
        self._taken: dict[str, Value | None] = {}

    def load(self, store: Store) -> None:
        """Forget everything and read the disk."""
        self._stored = dict(store.read(self.kind))
        self._rows = {key: self._decoder.decode(body) for key, body in self._stored.items()}
        self._taken = {}

    def peek(self, key: str) -> Value | None:
        """The object, for reading."""
        return self._rows.get(key)

    def values(self) -> ValuesView[Value]:
        """All objects, for reading."""
        return self._rows.values()

    def take(self, key: str) -> Value:
        """The object, for an operation."""
        value = self._taken[key] = self._rows[key]
        return value

    def add(self, value: Value) -> Value:
        """A new object, or one in place of another with the same key."""
        key = self._key(value)
        self._rows[key] = self._taken[key] = value
        return value

    def remove(self, key: str) -> None:
        """Forget an object."""
        del self._rows[key]
        self._taken[key] = None

    def changes(self) -> Iterator[Row]:
        """What the disk does not know yet."""
        for key, value in self._taken.items():
            body = None if value is None else msgspec.json.encode(value)
            if body != self._stored.get(key):
                yield self.kind, key, body

    def kept(self, rows: list[Row]) -> None:
        """Remember that these rows are on disk."""
        for kind, key, body in rows:
            if kind == self.kind and body is not None:
                self._stored[key] = body
            elif kind == self.kind:
                del self._stored[key]
        self._taken = {}


def pair_key(alias: str, payment_hash: bytes) -> str:
    """The key of an invoice or payment: whose it is, and its hash."""
    return f"{alias}:{payment_hash.hex()}"


class State:
    """All tables, the tip, and what an operation still has to do before it may end."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._published: list[InvoiceEvent | PaymentEvent] = []
        self.agenda: deque[str] = deque()
        """Keys of payments of which an attempt ended in the running operation."""
        self.nodes = Table("node", Node, lambda node: node.alias)
        self.channels = Table("channel", Channel, lambda channel: str(channel.chan_id))
        self.invoices = Table("invoice", Invoice, lambda item: pair_key(item.node, item.payment_hash))
        self.payments = Table("payment", Payment, lambda item: pair_key(item.payer, item.payment_hash))
        self.attempts = Table("attempt", Attempt, lambda attempt: attempt.key)
        self._tips = Table("tip", Tip, lambda _: "tip")
        self.reload()

    def reload(self) -> None:
        """Take everything from the disk; an operation that was under way is gone."""
        for table in self._tables():
            table.load(self._store)
        self._published.clear()
        self.agenda.clear()

    @property
    def tip(self) -> Tip:
        """Height and clock, for reading."""
        return self._tips.peek("tip") or Tip()

    def take_tip(self) -> Tip:
        """Height and clock, for an operation."""
        if self._tips.peek("tip") is None:
            return self._tips.add(Tip())
        return self._tips.take("tip")

    @contextmanager
    def change(self, finish: Callable[[], None]) -> Iterator[None]:
        """One operation: `finish` runs at its end, then all of it is on disk. An exception undoes it."""
        try:
            yield
            finish()
            rows = [row for table in self._tables() for row in table.changes()]
            if rows:
                self._store.write(rows)
        except BaseException:
            self.reload()
            raise
        for table in self._tables():
            table.kept(rows)
        published, self._published = self._published, []
        for event in published:
            self._bus.publish(event)

    def publish_invoice(self, invoice: Invoice) -> None:
        """Tell subscribers what the invoice is now, once the operation is on disk."""
        self._published.append(InvoiceEvent(deepcopy(invoice)))

    def publish_payment(self, payment: Payment) -> None:
        """Tell subscribers what the payment is now, once the operation is on disk."""
        self._published.append(self.payment_event(payment))

    def payment_event(self, payment: Payment) -> PaymentEvent:
        """A payment with its attempts, as they are now."""
        attempts = [attempt for key in payment.attempts if (attempt := self.attempts.peek(key)) is not None]
        return PaymentEvent(deepcopy(payment), deepcopy(attempts))

    def channels_of(self, alias: str) -> list[Channel]:
        """Channels of a node, for reading."""
        return [channel for channel in self.channels.values() if alias in channel.balances]

    def live_invoices(self) -> list[Invoice]:
        """Invoices that can still change, for reading."""
        return [i for i in self.invoices.values() if i.state in (InvoiceState.OPEN, InvoiceState.ACCEPTED)]

    def live_attempts(self) -> list[str]:
        """Keys of attempts that hold HTLCs, oldest first."""
        live = [item for item in self.attempts.values() if item.status is AttemptStatus.IN_FLIGHT]
        return [attempt.key for attempt in sorted(live, key=lambda item: (item.started_ns, item.key))]

    def _tables(
        self,
    ) -> tuple[Table[Node] | Table[Channel] | Table[Invoice] | Table[Payment] | Table[Attempt] | Table[Tip], ...]:
        return (self.nodes, self.channels, self.invoices, self.payments, self.attempts, self._tips)
