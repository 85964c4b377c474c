"""Answers about one's own prize."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from coordinator.player.wire.members import Amount, Moment, Text
from coordinator_core.nostr.event import Event


class PayoutStatus(Struct, frozen=True):
    """GET payout. A prize has amounts; "none" and "lost" have no more than their state. Place None is a refund."""

    state: Text
    place: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    net: Amount | None = None
    invoice_must_last_until: Moment | None = None


class PayoutAsked(Struct, frozen=True):
    """POST payout; with a debt receipt when the preimage was handed over."""

    debt_receipt: Event | None = None


class KeyGiven(Struct, frozen=True):
    """POST key."""
