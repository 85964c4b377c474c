"""What a fee bump pays (money section 7; BIP125 rules 3 and 4). Fees in satoshi, sizes in virtual bytes.

A child pays for itself and for its parent; a replacement pays for itself alone, which is a child of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordinator_core.transaction import fee_for_weight
from coordinator_core.units import FeeRate, Sats

CAP_SHARE: Final = 10
"""A bump costs at most a tenth of what it rescues, until a deadline is near."""
STEP_DIVISOR: Final = 4
"""A bump in the place of another pays at least a quarter more, so that few of them reach any rate."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A transaction, or several taken together, and the fee that is paid for it."""

    fee: Sats
    vsize: int

    def with_child(self, child: Paid) -> Paid:
        """Both as one package."""
        return Paid(Sats(self.fee + child.fee), self.vsize + child.vsize)

    def reaches(self, rate: FeeRate) -> bool:
        """True when the fee is that of `rate` or higher."""
        return self.fee >= fee_of(rate, self.vsize)


NOTHING: Final = Paid(Sats(0), 0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the node asks at least, and what may be spent at most."""

    relay_floor: FeeRate
    incremental_relay: FeeRate
    cap: Sats
    affordable: Sats


def fee_of(rate: FeeRate, vsize: int) -> Sats:
    """What nodes ask for so many virtual bytes at a rate."""
    return fee_for_weight(rate, 4 * vsize)


def fee_cap(rescued: Sats, *, near_deadline: bool) -> Sats:
    """The most that a bump may cost: a tenth of what it rescues, near a deadline all of it."""
    return rescued if near_deadline else Sats(rescued // CAP_SHARE)


def bump_fee(parent: Paid, vsize: int, previous: Paid | None, target: FeeRate, bounds: Bounds) -> Sats | None:
    """Fee of a bump of `vsize` that lifts `parent` and itself to `target`, or as far as the bounds allow.

    `previous` is the bump whose place it takes. None when no fee within the bounds would be taken by a node.
    """
    least = max(
        fee_of(bounds.relay_floor, vsize),
        fee_of(bounds.relay_floor, parent.vsize + vsize) - parent.fee,
        0 if previous is None else _least_replacement(previous, vsize, bounds.incremental_relay),
    )
    step = 0 if previous is None else previous.fee + -(-previous.fee // STEP_DIVISOR)
    wanted = max(fee_of(target, parent.vsize + vsize) - parent.fee, step, least)
    fee = min(wanted, bounds.cap, bounds.affordable)
    return Sats(fee) if fee >= least else None


def _least_replacement(previous: Paid, vsize: int, incremental_relay: FeeRate) -> int:
    """More in satoshi by the incremental relay fee, and more for each byte: a node takes no replacement otherwise."""
    dearer = previous.fee * vsize // previous.vsize + 1
    return max(previous.fee + fee_of(incremental_relay, vsize), dearer)
