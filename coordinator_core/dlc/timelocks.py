"""When the spends of a contract may be mined: consensus rules BIP68, BIP112 and BIP113 in the contract's terms.

Heights are those of the first block that may hold the transaction. Winners are alone from the split's delta to
the reclaim's 2 * delta; after that the first transaction seen wins.
"""

from __future__ import annotations

from typing import Final

from coordinator_core.dlc.outcome import reclaim_delay
from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.units import Height, UnixTime

LOCK_TIME_THRESHOLD: Final = 500_000_000
"""A lock time below it is a height, from it on a date."""


def lock_time_passed(lock_time: int, block_height: Height, previous_median_time: UnixTime) -> bool:
    """Whether a block may hold a transaction with this nLockTime and a sequence that is not final.

    `previous_median_time` is the median time past of the block before; the block's own time does not count.
    """
    return lock_time < (block_height if lock_time < LOCK_TIME_THRESHOLD else previous_median_time)


def split_height(parameters: ContractParameters, outcome_height: Height) -> Height:
    """First block for the split of an outcome that confirmed at `outcome_height`."""
    return Height(outcome_height + parameters.relative_locktime_block_delta)


def win_height(parameters: ContractParameters, split_confirmed_height: Height) -> Height:
    """First block for a winner's spend of a split that confirmed at that height."""
    return Height(split_confirmed_height + parameters.relative_locktime_block_delta)


def reclaim_height(parameters: ContractParameters, parent_height: Height) -> Height:
    """First block for the market maker's reclaim of an outcome or split that confirmed at `parent_height`."""
    return Height(parent_height + reclaim_delay(parameters))
