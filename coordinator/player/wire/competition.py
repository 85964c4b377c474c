"""Answers about a competition that everyone gets."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from coordinator.player.wire.members import Attempt, Moment, Text
from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.picks import Pick
from coordinator_core.nostr.event import Event

MAX_ENTRIES = 1_000
MAX_PICKS = 800


class Shown(Struct, frozen=True):
    """GET competitions/{id}."""

    state: Text


class Clocks(Struct, frozen=True):
    """GET status. `now` is the domain clock, `wall` the server's wall clock."""

    now: Moment
    wall: Moment


class Opened(Struct, frozen=True):
    """Picks that were opened, and the salt of their commitment."""

    salt: Hex32
    picks: Annotated[tuple[Pick, ...], Meta(max_length=MAX_PICKS)]


class ListedEntry(Struct, frozen=True):
    """One of GET entries."""

    entry_id: UUID
    event: Event
    opened: Opened | None = None


class ContractDocument(Struct, frozen=True):
    """GET contract. Parameters are read strictly by the contract's own room."""

    attempt: Attempt
    parameters: dict[str, Any]
    outpoint: Text
