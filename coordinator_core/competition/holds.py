"""How long a ticket's payment is held, and what to do when a hold runs short (money section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from coordinator_core.competition.terms import Terms
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.units import Blocks, Confirmations, Height

MAX_HOLD: Final = Blocks(432)
"""Longest hold asked of a payer's node, about three days."""
INVOICE_SECONDS: Final = 600
"""How long a ticket's invoice may be paid; a renewal has another hash."""
_BEFORE_BROADCAST: Final = 6
_RESERVE: Final = 24
_DECIDE_LEFT: Final = 6
_DECIDE_PAST: Final = 18
_BUMP_BEFORE_DECISION: Final = 6


class HoldTooLong(Refused):
    """The schedule needs longer holds than a payer's node can be asked for."""

    code = "competition.holds.too_long"


class HoldStep(StrEnum):
    """What a hold asks for once funding was broadcast and is not yet confirmed enough."""

    NONE = "none"
    BUMP = "bump"
    DECIDE = "decide"
    """For all tickets at once: settle if our node holds the funding, otherwise cancel all and take a coin
    back.
    """


def hold_cltv_expiry(terms: Terms, tip: Height, cancel_delta: Blocks) -> Blocks:
    """Final CLTV delta of a ticket's invoice made at `tip`. Raises HoldTooLong, or InvalidInput after F."""
    deadline = terms.schedule.funding_deadline
    if tip > deadline:
        raise InvalidInput("tip", f"height {tip} is past the funding deadline {deadline}", "no more tickets are sold")
    confirmations = terms.contract.required_confirmations
    blocks = (deadline - tip) + cancel_delta + _BEFORE_BROADCAST + confirmations + _RESERVE
    if blocks > MAX_HOLD:
        raise HoldTooLong(
            "terms.schedule.entries_close",
            f"tickets would be held for {blocks} blocks, more than {MAX_HOLD}",
            "open registration later, or use escrow mode once it is built",
        )
    return Blocks(blocks)


def hold_left(expiry_heights: Iterable[Height], tips: Iterable[Height], cancel_delta: Blocks) -> Blocks:
    """Blocks until the first of the held payments is given back, by the highest tip known. Raises
    InvalidInput.
    """
    heights, known = list(expiry_heights), list(tips)
    if not heights or not known:
        raise InvalidInput("holds", "no held payment or no tip", "at least one of each")
    return Blocks(min(heights) - max(known) - cancel_delta)


def enough_for_funding(left: Blocks, confirmations: Confirmations) -> bool:
    """Funding is broadcast only while every hold lasts 6 + required_confirmations + 24 blocks more."""
    return left >= _BEFORE_BROADCAST + confirmations + _RESERVE


def step_after_broadcast(terms: Terms, tip: Height, left: Blocks) -> HoldStep:
    """Bump at left 12 or F + 12, decide at left 6 or F + 18, whichever comes first."""
    before = blocks_before_decision(terms, tip, left)
    if before <= 0:
        return HoldStep.DECIDE
    return HoldStep.BUMP if before <= _BUMP_BEFORE_DECISION else HoldStep.NONE


def blocks_before_decision(terms: Terms, tip: Height, left: Blocks) -> Blocks:
    """Blocks until left 6 or F + 18, whichever comes first; 0 or less from then on."""
    return Blocks(min(left - _DECIDE_LEFT, terms.schedule.funding_deadline + _DECIDE_PAST - tip))
