"""Answers of the keymeld gateway (keymeld sections 3.4 and 5)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from coordinator.player.wire.members import Moment
from coordinator_core.competition.documents import Hex33

MAX_ITEMS = 100


class PublicKey(Struct, frozen=True):
    """GET enclaves/{id}/public-key. `timestamp` is the gateway's clock."""

    public_key: Hex33
    key_epoch: Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
    timestamp: Moment


class SigningStatus(Struct, frozen=True):
    """GET signing/{id}/status/{user}. Items are read strictly by their own room."""

    batch_items: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MAX_ITEMS)]
