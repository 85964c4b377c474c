"""Who listens to what: invoices and payments tell their subscribers each state, in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coordinator.embedded.lightning.model import Attempt, Invoice, Payment


@dataclass(frozen=True)
class InvoiceEvent:
    """An invoice as it was at one moment."""

    invoice: Invoice

    @property
    def topic(self) -> str:
        """What a subscriber asks for."""
        return invoice_topic(self.invoice.node, self.invoice.payment_hash)


@dataclass(frozen=True)
class PaymentEvent:
    """A payment as it was at one moment, with the attempts that it had."""

    payment: Payment
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    @property
    def topic(self) -> str:
        """What a subscriber asks for."""
        return payment_topic(self.payment.payer, self.payment.payment_hash)


def invoice_topic(alias: str, payment_hash: bytes) -> str:
    """The topic of one invoice."""
    return f"invoice:{alias}:{payment_hash.hex()}"


def payment_topic(alias: str, payment_hash: bytes) -> str:
    """The topic of one payment."""
    return f"payment:{alias}:{payment_hash.hex()}"


Event = InvoiceEvent | PaymentEvent


class Bus:
    """Queues by topic. Queues are unbounded: what one topic says in its life is a handful of events."""

    def __init__(self) -> None:
        self._queues: dict[str, list[asyncio.Queue[Event]]] = defaultdict(list)

    def publish(self, event: Event) -> None:
        """Hand an event to all who listen now."""
        for queue in self._queues.get(event.topic, ()):
            queue.put_nowait(event)

    @contextmanager
    def subscription(self, topic: str) -> Iterator[asyncio.Queue[Event]]:
        """A queue of everything published on the topic while the context is open."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._queues[topic].append(queue)
        try:
            yield queue
        finally:
            self._queues[topic].remove(queue)
            if not self._queues[topic]:
                del self._queues[topic]
