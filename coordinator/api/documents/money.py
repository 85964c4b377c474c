"""The house's money as an operator sees it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from coordinator.api.documents.admin import Reason
from coordinator.api.documents.common import Satoshi, Time
from coordinator_core.competition.documents import Hex32, Hex33


class ExplainBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What a payment of the node was for; it stays in the audit log."""

    payment_hash: Hex32
    reason: Reason


class Explained(Struct, forbid_unknown_fields=True):
    """It holds no prize any more."""

    explained: Hex32


class AcceptBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose key, and which: as `coordinator admin attention` names them."""

    whose: Annotated[str, Meta(min_length=1, max_length=100)]
    key: Hex33
    """The one that the operator saw; another one is not accepted."""
    reason: Reason


class Accepted(Struct, forbid_unknown_fields=True):
    """The key that counts from now on."""

    accepted: Hex33


class SettlesOnly(Struct, forbid_unknown_fields=True):
    """Whether nothing new is taken on."""

    settle_only: bool


class Comparison(Struct, kw_only=True, forbid_unknown_fields=True):
    """How far database, chain and Lightning are compared in this run."""

    complete: bool
    done: list[str]
    waits_for: str
    """Why the next comparison could not be made the last time; empty when nothing kept it."""
    looked_at: int
    differences: int
    contradictions: int
    finished_at: Time | None


class UnexplainedPayment(Struct, kw_only=True, forbid_unknown_fields=True):
    """A payment that left the node and that no payout here explains."""

    payment_hash: Hex32
    state: str
    value: Annotated[int, Meta(ge=0)]
    """Millisatoshi."""
    created_at: Time
    explained: bool
    """An operator said what it was for."""
    holds: str | None
    """Competition and entry of the prize that it held back last."""


class UnexplainedInvoice(Struct, kw_only=True, forbid_unknown_fields=True):
    """A held or settled invoice over terms of ours that no ticket explains."""

    payment_hash: Hex32
    state: str
    value: Satoshi
    created_at: Time


class Amount(Struct, forbid_unknown_fields=True):
    """A sum, and when it was said (wall clock)."""

    sats: Satoshi
    at: Time


class Unbalanced(Struct, forbid_unknown_fields=True):
    """What does not add up, in a competition or, with null, in the house."""

    competition: str | None
    what: str


class Money(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the house knows of its money."""

    amounts: dict[str, Amount]
    """Where it stands; what nobody has said yet is not there."""
    gap: int | None
    """Satoshi by which what is owed exceeds what is there; null while that is not known."""
    faults: list[Unbalanced]

    reconciliation: Comparison
    payments: list[UnexplainedPayment]
    invoices: list[UnexplainedInvoice]
