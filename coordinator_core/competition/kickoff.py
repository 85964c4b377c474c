"""The kick-off check before parameters are pinned (money section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator_core.competition.amounts import funding_value, on_chain_shares, pool
from coordinator_core.competition.chain_cost import ChainCost, ContractShape, chain_cost
from coordinator_core.competition.fees import FeeMarket, contract_fee_rate
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault, Refused
from coordinator_core.units import FeeRate, Sats


class NetworkFeesTooLow(Refused):
    """Chain fees rose above what the tickets paid for them."""

    code = "competition.kickoff.network_fees"


class WalletTooSmall(Refused):
    """The wallet cannot fund the contract."""

    code = "competition.kickoff.wallet"


class LightningTooSmall(Refused):
    """Lightning could not pay every prize."""

    code = "competition.kickoff.lightning"


@dataclass(frozen=True, slots=True)
class Means:
    """What we have: coins to spend on chain, and what Lightning can send once the tickets are settled, in
    sat.
    """

    wallet: Sats
    lightning: Sats


@dataclass(frozen=True, slots=True)
class KickOff:
    """The contract that can be made now."""

    fee_rate: FeeRate
    funding_value: Sats
    cost: ChainCost


def kick_off(terms: Terms, network_fees: Sequence[Sats], market: FeeMarket, means: Means) -> KickOff:
    """Amounts of the contract with one entry for each of `network_fees` (what its ticket paid), at today's
    rate.

    Raises NoFeeEstimate, FeeRateAboveCeiling, NetworkFeesTooLow, UneconomicOutput, WalletTooSmall or
    LightningTooSmall: each may pass later, within the closing.
    """
    entries = len(network_fees)
    if not terms.entries.minimum <= entries <= terms.entries.maximum:
        raise Refused(
            "entries",
            f"{entries} entries",
            f"{terms.entries.minimum} to {terms.entries.maximum}",
            fault=Fault.COORDINATOR,
        )
    rate = contract_fee_rate(terms, market)
    cost = chain_cost(ContractShape(entries, terms.places), rate)
    paid = sum(network_fees)
    if paid < cost.total:
        raise NetworkFeesTooLow("network_fees", f"{paid} sat for a cost of {cost.total} sat", "wait for lower fees")
    on_chain_shares(terms, entries, rate)
    value = funding_value(terms, entries, rate)
    needed = value + cost.funding_fee
    if means.wallet < needed:
        raise WalletTooSmall("wallet", f"{means.wallet} sat", f"at least {needed} sat", fault=Fault.COORDINATOR)
    pot = pool(entries, terms.money.entry_fee)
    if means.lightning < pot:
        raise LightningTooSmall("lightning", f"{means.lightning} sat", f"at least {pot} sat", fault=Fault.COORDINATOR)
    return KickOff(fee_rate=rate, funding_value=value, cost=cost)
