"""Whether every pre-signed transaction will pass a node's relay floor (corrections to dlctix section 4).

The fee of a split is divided and rounded down, so it may fall short of its rate by a satoshi for each further
winner. At a rate close to the floor the outcome would relay and its split would not, which hands the pot to the market
maker at 2 * delta.
"""

from __future__ import annotations

from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import WinCondition, label
from coordinator_core.dlc.split import split_weight
from coordinator_core.errors import Refused
from coordinator_core.transaction import fee_for_weight
from coordinator_core.units import FeeRate


class BelowRelayFloor(Refused):
    """A pre-signed transaction would pay less than nodes relay."""

    code = "dlc.below_relay_floor"


def least_fee_rate(relay_floor: FeeRate) -> FeeRate:
    """The least contract fee rate that keeps every split above a floor: 1.01 * floor + 8 sat/kWU, rounded up."""
    return FeeRate(-(-101 * relay_floor // 100) + 8)


def check_relay(contract: Contract, relay_floor: FeeRate) -> None:
    """Check the contract's rate and what each split really pays against a floor. Raises BelowRelayFloor."""
    parameters = contract.parameters
    least = least_fee_rate(relay_floor)
    if parameters.fee_rate < least:
        reason = f"{parameters.fee_rate} sat/kWU is too close to the relay floor {relay_floor}"
        raise BelowRelayFloor("fee_rate", reason, f"at least {least} sat/kWU")
    for outcome in contract.outcomes:
        winners = contract.record(outcome).winners
        script = contract.split_script(WinCondition(outcome, winners[0]))
        vsize = -(-split_weight(parameters, len(winners), len(script)) // 4)
        fee, needed = contract.split_fee(outcome), fee_for_weight(relay_floor, 4 * vsize)
        if fee < needed:
            reason = f"the split of {label(outcome)} pays {fee} sat where nodes ask {needed}"
            raise BelowRelayFloor("fee_rate", reason, "a higher fee rate")
