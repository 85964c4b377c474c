"""The price of a ticket and the contract's fee rate (money section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from coordinator_core.competition.chain_cost import ContractShape, chain_cost
from coordinator_core.competition.terms import Amount, Terms
from coordinator_core.dlc.relay import least_fee_rate
from coordinator_core.errors import Fault, InvalidInput, Refused
from coordinator_core.units import FeeRate, Sats

PAUSE_SHARE: Final = 10
"""Tickets pause while the network fee is more than a tenth of the entry fee."""
_BPS: Final = 10_000


class NoFeeEstimate(Refused):
    """No fee estimate, no ticket."""

    code = "competition.fees.no_estimate"


class FeeRateAboveCeiling(Refused):
    """A contract at today's rate would break the terms."""

    code = "competition.fees.rate_above_ceiling"


class NetworkFeeTooHigh(Refused):
    """New tickets pause: the network fee is out of proportion to the entry fee."""

    code = "competition.fees.network_fee_too_high"


@dataclass(frozen=True, slots=True)
class FeeMarket:
    """What the node says now, in sat/kWU: its estimate (None: it has none) and its relay floor."""

    estimate: FeeRate | None
    relay_floor: FeeRate

    def __post_init__(self) -> None:
        for name, rate in (("estimate", self.estimate), ("relay_floor", self.relay_floor)):
            if rate is not None and not 0 < rate <= 25_000_000:
                raise InvalidInput(f"fee_market.{name}", f"{rate} sat/kWU is no fee rate", "1 to 25000000")


class PriceLines(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The three lines of a ticket's price, in sat."""

    entry_fee: Amount
    coordinator_fee: Amount
    network_fee: Amount

    @property
    def total(self) -> Sats:
        """What the player pays."""
        return Sats(self.entry_fee + self.coordinator_fee + self.network_fee)


def coordinator_fee(terms: Terms) -> Sats:
    """Basis points of the entry fee, half up."""
    return Sats((terms.money.entry_fee * terms.money.coordinator_fee_bps + _BPS // 2) // _BPS)


def contract_fee_rate(terms: Terms, market: FeeMarket) -> FeeRate:
    """The rate of a contract made now. Raises NoFeeEstimate or FeeRateAboveCeiling."""
    if market.estimate is None:
        raise NoFeeEstimate("fee_market", "the node has no fee estimate", "wait for it", fault=Fault.NODE)
    rate = max(market.estimate, least_fee_rate(market.relay_floor))
    ceiling = terms.contract.fee_rate_ceiling
    if rate > ceiling:
        raise FeeRateAboveCeiling(
            "fee_market",
            f"{rate} sat/kWU is above the terms' ceiling {ceiling}",
            "wait for lower fees",
            fault=Fault.NODE,
        )
    return FeeRate(rate)


def network_fee(terms: Terms, rate: FeeRate) -> Sats:
    """A ticket's share of the chain cost at the minimum of entries, with the terms' margin, rounded up."""
    cost = chain_cost(ContractShape(terms.entries.minimum, terms.places), rate).total
    return Sats(-(-cost * (_BPS + terms.money.network_fee_margin_bps) // (_BPS * terms.entries.minimum)))


def price_lines(terms: Terms, market: FeeMarket) -> PriceLines:
    """The price of a ticket now, to be fixed in its receipt. Raises NoFeeEstimate or FeeRateAboveCeiling."""
    return PriceLines(
        entry_fee=terms.money.entry_fee,
        coordinator_fee=coordinator_fee(terms),
        network_fee=network_fee(terms, contract_fee_rate(terms, market)),
    )


def offer(terms: Terms, market: FeeMarket) -> PriceLines:
    """The price for a new ticket. Raises as price_lines, and NetworkFeeTooHigh while tickets pause."""
    price = price_lines(terms, market)
    if price.network_fee * PAUSE_SHARE > price.entry_fee:
        raise NetworkFeeTooHigh(
            "network_fee",
            f"{price.network_fee} sat is more than a tenth of the entry fee of {price.entry_fee} sat",
            "wait for lower fees",
            fault=Fault.NODE,
        )
    return price


def check_price(terms: Terms, price: PriceLines) -> None:
    """What a player can check of a price: both fixed lines, and a network fee within the terms' ceiling.

    Raises Refused naming the line, at the coordinator's fault.
    """
    wanted = {
        "entry_fee": terms.money.entry_fee,
        "coordinator_fee": coordinator_fee(terms),
    }
    for line, amount in wanted.items():
        if getattr(price, line) != amount:
            raise Refused(f"price.{line}", "is not that of the terms", f"{amount} sat", fault=Fault.COORDINATOR)
    limit = min(network_fee(terms, terms.contract.fee_rate_ceiling), price.entry_fee // PAUSE_SHARE)
    if price.network_fee > limit:
        raise Refused(
            "price.network_fee",
            "is above what the terms allow",
            f"at most {limit} sat",
            fault=Fault.COORDINATOR,
        )
