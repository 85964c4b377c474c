"""What the coordinator needs of a Lightning node: hold invoices, payments, and the truth about both.

Hashes and preimages are hex. Streams are hints: a lookup is the truth.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Height, Millisats, Sats, Seconds, UnixTime


class NodeInfo(Struct, frozen=True):
    """Identity and health of the node."""

    version: str
    network: str
    block_height: Height
    synced_to_chain: bool
    public_key: str
    cancel_delta: Blocks
    """Blocks before an HTLC's expiry at which the node cancels a hold by itself: 18 from LND 0.21 on, 12 before."""


class Liquidity(Struct, frozen=True):
    """Sums over usable channels."""

    outbound: Sats
    inbound: Sats
    local: Sats | None = None
    """Our side of every open channel, usable now or not, with reserves and with what outgoing payments hold that are
    neither settled nor failed; None when the node did not say.
    """


class InvoiceState(StrEnum):
    """States of a hold invoice as LND names them."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


class HoldInvoice(Struct, frozen=True):
    """A hold invoice as looked up."""

    payment_hash: str
    payment_request: str
    state: InvoiceState
    value: Sats
    expires_at: UnixTime
    expiry_height: Height | None = None
    """Least expiry height over ACCEPTED HTLCs; None when there is none."""


class PaymentState(StrEnum):
    """What is known of an outgoing payment. UNKNOWN never leads to a second one."""

    NEVER_SENT = "never_sent"
    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class FailureKind(StrEnum):
    """Why a payment failed: only PAYEE_REJECTS is final for the invoice, all else may be tried again."""

    NO_ROUTE = "no_route"
    TIMEOUT = "timeout"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    PAYEE_REJECTS = "payee_rejects"
    ERROR = "error"


class Payment(Struct, frozen=True):
    """An outgoing payment. `preimage` is public once the payment succeeded: it is the receipt."""

    payment_hash: str
    state: PaymentState
    preimage: str | None = None
    fee: Sats = Sats(0)
    failure: FailureKind | None = None


class OutgoingPayment(Struct, frozen=True):
    """A line of the node's list of payments, whoever ordered it."""

    payment_hash: str
    state: PaymentState
    value: Millisats
    """Without fees."""
    created_at: UnixTime
    """The node's clock."""


class ListedInvoice(Struct, frozen=True):
    """A line of the node's list of invoices, whoever made it."""

    payment_hash: str
    state: InvoiceState
    value: Sats
    description_hash: str
    """Hex; empty for an invoice without one. Ours have the terms hash."""
    created_at: UnixTime
    """The node's clock."""


class Lightning(Protocol):
    """A Lightning node. Every call is finite; raises faults.Unreachable, faults.Rejected or faults.Unsuitable."""

    async def info(self) -> NodeInfo:
        """Identity, network, height, sync."""
        ...

    async def liquidity(self) -> Liquidity:
        """What can be sent and received now."""
        ...

    async def add_hold_invoice(
        self, payment_hash: str, value: Sats, *, description_hash: bytes, expiry: Seconds, cltv_expiry: Blocks
    ) -> HoldInvoice:
        """Make a hold invoice. A hash is never reused: an equal invoice that exists is returned, another one makes
        faults.Rejected."""
        ...

    async def invoice(self, payment_hash: str) -> HoldInvoice | None:
        """Look an invoice up; None when the node does not know the hash."""
        ...

    def invoice_updates(self, payment_hash: str) -> AsyncGenerator[InvoiceState]:
        """States as they come, present state first; ends after SETTLED or CANCELED. A hint only.

        It holds a connection: who leaves it early closes it (`contextlib.aclosing`).
        """
        ...

    async def settle(self, preimage: Secret) -> HoldInvoice:
        """Settle a held invoice; the lookup says what it is now: SETTLED, or CANCELED when it was too late."""
        ...

    async def cancel(self, payment_hash: str) -> HoldInvoice:
        """Cancel an invoice; the returned lookup says what it is now (CANCELED, or SETTLED when it was too late)."""
        ...

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> Payment:
        """Start a payment and wait at most `timeout` for its end. Callers reconcile with payment() before repeating."""
        ...

    async def payment(self, payment_hash: str) -> Payment:
        """What the node knows of a payment: track it, else its payment list."""
        ...

    async def history_reaches(self, payment_hash: str) -> bool:
        """True when the payment list still holds this earlier payment: "not found" of a newer one means never sent."""
        ...

    async def listed_payments(self, since: UnixTime) -> tuple[OutgoingPayment, ...]:
        """Every outgoing payment that the node lists from `since` on, newest first; failed ones too."""
        ...

    async def listed_invoices(self, since: UnixTime) -> tuple[ListedInvoice, ...]:
        """Every invoice that the node lists from `since` on, newest first, in whatever state."""
        ...
