"""Terminal states."""

from __future__ import annotations

from coordinator.domain.typestate import State


class Completed(State, frozen=True, kw_only=True, tag="completed"):
    """Every prize is PAID, CLAIMED, OWED, VOID or UNECONOMIC, and every output that is worth it is swept or claimed.
    Duties of OWED prizes go on.
    """

    funding_txid: str
    outcome: int | None
    """Index of the attested outcome; None when the contract ended by its expiry."""


class Cancelled(State, frozen=True, kw_only=True, tag="cancelled"):
    """Ended by a rule or a person; everything was given back, or is owed."""

    reason: str


class Failed(State, frozen=True, kw_only=True, tag="failed"):
    """Ended because a service failed; everything was given back, or is owed."""

    reason: str
