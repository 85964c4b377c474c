"""LND's lists of payments and invoices, read from their newest end page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from coordinator.adapters.http import HttpClient
from coordinator.adapters.lightning import refusals, wire
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import ListedInvoice, OutgoingPayment, PaymentState
from coordinator_core.errors import Fault
from coordinator_core.units import Millisats, Sats, UnixTime

PAGE = 250
"""A payment that was tried often fills more than a hundred kilobytes: a page must fit into one answer."""
MAX_PAGES = 400


class _Page(Protocol):
    """A page of a list: where the one before it ends."""

    @property
    def first_index_offset(self) -> str: ...


P = TypeVar("P", bound=_Page)
Row = TypeVar("Row")


async def payments(http: HttpClient) -> AsyncIterator[wire.PaymentWire]:
    """Every payment of the node, newest first. Raises Unreachable, also for a list without an end."""
    query = {"include_incomplete": "true", "reversed": "true", "max_payments": PAGE}
    async for row in _backwards(http, "/v1/payments", query, wire.PaymentsWire, lambda page: page.payments):
        yield row


async def invoices(http: HttpClient) -> AsyncIterator[wire.InvoiceWire]:
    """Every invoice of the node, newest first. Raises Unreachable, also for a list without an end."""
    query = {"reversed": "true", "num_max_invoices": PAGE}
    async for row in _backwards(http, "/v1/invoices", query, wire.InvoicesWire, lambda page: page.invoices):
        yield row


async def _backwards(
    http: HttpClient, path: str, query: dict[str, str | int], kind: type[P], rows: Callable[[P], Sequence[Row]]
) -> AsyncIterator[Row]:
    offset = 0
    for _ in range(MAX_PAGES):
        reply = await http.get_with_retries(path, params={**query, "index_offset": offset})
        if not reply.ok:
            raise refusals.refusal(reply)
        page = reply.decode(kind)
        listed = rows(page)
        for row in reversed(listed):
            yield row
        offset = int(page.first_index_offset)
        if offset <= 1 or not listed:
            return
    raise Unreachable(http.service, f"the list of {path} has no end", fault=Fault.LIGHTNING)


def payment_line(row: wire.PaymentWire) -> OutgoingPayment:
    """A line of the port."""
    return OutgoingPayment(
        payment_hash=row.payment_hash,
        state=wire.PAYMENT_STATES.get(row.status, PaymentState.UNKNOWN),
        value=Millisats(int(row.value_msat)),
        created_at=UnixTime(int(row.creation_time_ns) // 1_000_000_000),
    )


def invoice_line(row: wire.InvoiceWire) -> ListedInvoice:
    """A line of the port. Raises Unreachable for bytes that are no base64."""
    return ListedInvoice(
        payment_hash=wire.hex_of(row.r_hash),
        state=row.state,
        value=Sats(int(row.value_msat) // 1_000),
        description_hash=wire.hex_of(row.description_hash),
        created_at=UnixTime(int(row.creation_date)),
    )
