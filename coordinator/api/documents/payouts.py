"""Payouts: bodies and answers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from coordinator.api.documents.common import Satoshi, Time
from coordinator.domain.facts import PrizeState
from coordinator_core.competition.documents import Hex32
from coordinator_core.nostr.event import Event

MAX_INVOICE = 7_089
"""Characters: the longest QR code, and far more than a payout's invoice."""


class PayoutBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An invoice over exactly the net prize. Without a preimage it is on the entry's own payout hash."""

    payment_request: Annotated[str, Meta(max_length=MAX_INVOICE)]
    payout_preimage: Hex32 | None = None


class KeyBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The entry key of the contract's attempt."""

    entry_key: Hex32


class PayoutStatus(Struct, forbid_unknown_fields=True):
    """An entry's prize. Only `state` is there while it is "none" (no result yet) or "lost"."""

    state: Annotated[str, Meta(extra_json_schema={"enum": ["none", "lost", *PrizeState]})]
    place: int | msgspec.UnsetType | None = msgspec.UNSET
    gross: Satoshi | msgspec.UnsetType = msgspec.UNSET
    net: Satoshi | msgspec.UnsetType = msgspec.UNSET
    payout_hash: Hex32 | msgspec.UnsetType | None = msgspec.UNSET
    window_blocks: int | msgspec.UnsetType = msgspec.UNSET
    """Blocks in which a Lightning payout can still start."""
    invoice_must_last_until: Time | msgspec.UnsetType = msgspec.UNSET
    routing_fee: Satoshi | msgspec.UnsetType | None = msgspec.UNSET
    failure: str | msgspec.UnsetType | None = msgspec.UNSET


class PayoutAsked(Struct, forbid_unknown_fields=True):
    """The payment is on its way. The receipt is there when the preimage was given first."""

    state: str
    debt_receipt: Event | None


class KeyAccepted(Struct, forbid_unknown_fields=True):
    """Noted."""

    accepted: bool
