"""Gates by consequence: what must not be done on an old view of the chain (engine section 1.1, A-04; money section 2).

A step that takes money along and cannot be taken back waits while our view of the chain is old, or Lightning's is: the
first broadcast of a funding, and a payment. New money waits longer before it is turned away. What protects somebody is
never held back: settle, cancel, outcome, split, sweep and bump are safe on an old view, or check their own condition.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from coordinator.domain.duties import CreateInvoice, Duty, PayPrize
from coordinator.domain.lane import Lane
from coordinator.domain.protection import is_expansive_funding
from coordinator_core.units import Blocks, Seconds

LAG_FOR_MONEY: Final = Blocks(1)
"""A block that was just found is on its way to us."""
LAG_FOR_ENTRIES: Final = Blocks(6)
"""A ticket is given back until the funding leaves: it bears more."""
GRACE: Final = Seconds(120)
"""A block that the node has for less than that does not count: it, and Lightning, are being brought up to it."""
NODE_SILENT: Final = "the Bitcoin node does not answer"
LIGHTNING_SILENT: Final = "lightning does not answer"
LIGHTNING_BEHIND: Final = "lightning is not synced to the chain"


class Consequence(StrEnum):
    """What a step does that was taken on an old view of the chain."""

    NONE = "none"
    """It moves no money, or can be taken back."""
    ENTRY = "entry"
    """It lets new money in."""
    IRREVOCABLE = "irrevocable"
    """Money leaves, or is bound for good."""
    PROTECTIVE = "protective"
    """Leaving it undone can cost someone money."""


class Sight(Struct, frozen=True, kw_only=True):
    """How far the chain is known at this moment. None: nobody can say."""

    lag: Blocks | None
    """Blocks of the node that are not stored here."""
    late: Blocks | None
    """Those of them that the node has for longer than GRACE."""
    lightning: bool | None
    """Whether Lightning is in step with the chain, or had no time to be since the last block."""


def consequence(duty: Duty, lane: Lane) -> Consequence:
    """What a duty does, with the facts of its competition."""
    if isinstance(duty, PayPrize) or is_expansive_funding(duty, lane):
        return Consequence.IRREVOCABLE
    if isinstance(duty, CreateInvoice):
        return Consequence.ENTRY
    return Consequence.PROTECTIVE if duty.protective else Consequence.NONE


def held(what: Consequence, sight: Sight) -> str | None:
    """Why a step must not be taken now; None when nothing speaks against it."""
    if what not in (Consequence.ENTRY, Consequence.IRREVOCABLE):
        return None
    return _chain(what, sight) or _lightning(sight)


def _chain(what: Consequence, sight: Sight) -> str | None:
    if sight.lag is None or sight.late is None:
        return NODE_SILENT
    # The grace is for blocks that were just found, not for a node that was away and has many at once.
    too_old = sight.lag > LAG_FOR_ENTRIES or (what is Consequence.IRREVOCABLE and sight.late > LAG_FOR_MONEY)
    return f"{sight.lag} blocks of the Bitcoin node are not processed yet" if too_old else None


def _lightning(sight: Sight) -> str | None:
    if sight.lightning is None:
        return LIGHTNING_SILENT
    return None if sight.lightning else LIGHTNING_BEHIND


def asks_only(duty: Duty) -> bool:
    """A payment that is held back still asks what became of it: a sweep waits for the answer."""
    return isinstance(duty, PayPrize)
