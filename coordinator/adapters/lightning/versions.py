"""What differs between releases of LND, and which one the client was tested with."""

from __future__ import annotations

from coordinator_core.units import Blocks

TESTED = "0.21.1"
CANCEL_DELTA_SINCE_0_21 = Blocks(18)
CANCEL_DELTA_BEFORE = Blocks(12)


def release(version: str) -> tuple[int, int, int] | None:
    """The numbers in front of "-beta" and the like; None for a text that has none."""
    try:
        major, minor, patch = (int(number) for number in version.split("-", 1)[0].split(" ", 1)[0].split("."))
    except ValueError:
        return None
    return major, minor, patch


def cancel_delta(version: str) -> Blocks:
    """Blocks before an HTLC's expiry at which a node of this version cancels a hold by itself.

    A version that cannot be read counts as new: that leaves fewer blocks, never more.
    """
    numbers = release(version)
    return CANCEL_DELTA_BEFORE if numbers is not None and numbers < (0, 21, 0) else CANCEL_DELTA_SINCE_0_21


def possible_cancel_deltas(configured: Blocks | None) -> tuple[Blocks, ...]:
    """What a node whose version is not known may have; `configured` is its `holdexpirydelta`, if that is set."""
    return (CANCEL_DELTA_BEFORE, CANCEL_DELTA_SINCE_0_21) if configured is None else (configured,)


def note(version: str) -> str:
    """A sentence about a release other than the tested one; nothing for that one."""
    if release(version) == release(TESTED):
        return ""
    blocks = cancel_delta(version)
    said = version or "of an unknown version"
    return f"LND {said} was not tested, LND {TESTED} was; holds are taken to end {blocks} blocks before their expiry"
