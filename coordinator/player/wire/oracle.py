"""Answers of a noaa-oracle 2.x (oracle-2 sections 4 and 6)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from coordinator.player.wire.competition import MAX_ENTRIES, MAX_PICKS
from coordinator.player.wire.members import Uuid
from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.observation import Name, Target


class StatedPick(Struct, frozen=True):
    """A pick as the oracle writes it, "Over", "Par" or "Under" in either case."""

    target: Target
    metric: Name
    prediction: Annotated[str, Meta(pattern=r"\A([Oo]ver|[Pp]ar|[Uu]nder)\Z")]


class StatedEntry(Struct, frozen=True):
    """An entry of an event."""

    id: Uuid
    picks: Annotated[tuple[StatedPick, ...], Meta(max_length=MAX_PICKS)] | None = None


class OracleEvent(Struct, frozen=True):
    """GET oracle/events/{id}. The statement is an object, or one as text; its own room reads it strictly."""

    statement: dict[str, Any] | str | None = None
    attestation: Hex32 | None = None
    entries: Annotated[tuple[StatedEntry, ...], Meta(max_length=MAX_ENTRIES)] = ()
