"""What the embedded network remembers: nodes, channels, invoices, payments and their attempts.

Amounts are millisatoshi unless a name says otherwise, heights are block heights, times seconds since 1970 on the
wall clock. Hashes and keys are bytes. The structs are mutable and belong to `state.State`, which writes to disk
every one that an operation touched.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Mode(StrEnum):
    """How a node treats HTLCs: a fault that tests and demos can switch on."""

    OK = "ok"
    FAIL = "fail"
    """Refuses to forward; as the payee, rejects every payment."""
    HOLD = "hold"
    """Keeps everything that comes, payments and their results, until the mode changes or the HTLC expires."""
    OFFLINE = "offline"
    """As HOLD, and its channels are inactive: its peers start no payment over it."""


class NodeState(StrEnum):
    """Start-up states of LND, in order."""

    WAITING_TO_START = "WAITING_TO_START"
    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    RPC_ACTIVE = "RPC_ACTIVE"
    SERVER_ACTIVE = "SERVER_ACTIVE"


class Node(Struct):
    """One Lightning node. `forced_state` overrides the start-up state, for tests."""

    alias: str
    public_key: bytes
    port: int = 0
    mode: Mode = Mode.OK
    forced_state: NodeState | None = None
    last_add_index: int = 0
    last_settle_index: int = 0
    last_payment_index: int = 0
    last_attempt_id: int = 0


class ChannelHtlc(Struct):
    """An HTLC that a channel holds: offered by one side, belonging to neither until settled or failed."""

    index: int
    offered_by: str
    amount_msat: int
    payment_hash: bytes
    expiry_height: int


class Channel(Struct):
    """A channel as a ledger: `balances` by alias plus held HTLCs always make up the capacity.

    The opener pays the commitment fee, which is shown in its balance and never moves in the ledger.
    """

    chan_id: int
    funding_txid: bytes
    opener: str
    peer: str
    capacity_sat: int
    pushed_sat: int
    opened_at: int
    balances: dict[str, int]
    sent: dict[str, int]
    next_index: dict[str, int]
    htlcs: list[ChannelHtlc] = field(default_factory=list[ChannelHtlc])
    updates: int = 0


class InvoiceState(StrEnum):
    """States of an invoice."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


class HtlcState(StrEnum):
    """States of one HTLC that pays an invoice."""

    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


class InvoiceHtlc(Struct):
    """An HTLC at its payee, and the attempt it belongs to."""

    attempt: str
    chan_id: int
    htlc_index: int
    amount_msat: int
    total_msat: int
    accept_height: int
    accept_time: int
    expiry_height: int
    state: HtlcState = HtlcState.ACCEPTED
    resolve_time: int = 0


class Invoice(Struct):
    """An invoice of one node. A hold invoice has no preimage before it is settled."""

    node: str
    payment_hash: bytes
    preimage: bytes
    hold: bool
    value_msat: int
    memo: str
    description_hash: bytes
    expiry: int
    cltv_expiry: int
    private: bool
    add_index: int
    created_at: int
    payment_request: str
    payment_addr: bytes
    state: InvoiceState = InvoiceState.OPEN
    settle_index: int = 0
    settled_at: int = 0
    amount_paid_msat: int = 0
    htlcs: list[InvoiceHtlc] = field(default_factory=list[InvoiceHtlc])


class Hop(Struct):
    """One channel of a route, towards `node`. `expiry_height` and `amount_msat` are what `node` passes on."""

    chan_id: int
    node: str
    amount_msat: int
    fee_msat: int
    expiry_height: int


class AttemptStatus(StrEnum):
    """States of one try along one route."""

    IN_FLIGHT = "IN_FLIGHT"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Failure(Struct):
    """Why a try failed: LND's failure code, and the hop that reported it (0 is the payer)."""

    code: str
    source_index: int
    height: int = 0
    chan_id: int = 0


class Attempt(Struct):
    """One try. `htlc_indexes` are its HTLCs from the payer on; `held` says how many of them are still there."""

    key: str
    payer: str
    attempt_id: int
    payment_hash: bytes
    payment_addr: bytes
    total_msat: int
    time_lock: int
    hops: list[Hop]
    started_ns: int
    status: AttemptStatus = AttemptStatus.IN_FLIGHT
    htlc_indexes: list[int] = field(default_factory=list[int])
    held: int = 0
    delivered: bool = False
    """The payee looked at it."""
    resolved: bool = False
    """A result, preimage or failure, travels back to the payer."""
    preimage: bytes = b""
    failure: Failure | None = None
    resolved_ns: int = 0


class PaymentStatus(StrEnum):
    """States of a payment."""

    IN_FLIGHT = "IN_FLIGHT"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class FailureReason(StrEnum):
    """Why a payment failed, without LND's prefix."""

    NONE = "NONE"
    TIMEOUT = "TIMEOUT"
    NO_ROUTE = "NO_ROUTE"
    INCORRECT_PAYMENT_DETAILS = "INCORRECT_PAYMENT_DETAILS"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    ERROR = "ERROR"


class Payment(Struct):
    """A payment of one node to one hash, with the limits it must keep. `closed_edges` failed in this payment."""

    payer: str
    payment_hash: bytes
    value_msat: int
    payment_request: str
    payment_index: int
    created_ns: int
    deadline: float
    fee_limit_msat: int
    cltv_limit: int
    max_parts: int
    status: PaymentStatus = PaymentStatus.IN_FLIGHT
    failure_reason: FailureReason = FailureReason.NONE
    preimage: bytes = b""
    fee_msat: int = 0
    attempts: list[str] = field(default_factory=list[str])
    closed_edges: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    by_route: bool = False
    """Made by route/send: the caller chose the routes, so none is tried in place of a failed one."""
