"""Pool, prizes, refunds and what the contract holds (money section 1). All amounts in sat, all division
exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator_core.competition.chain_cost import ContractShape, chain_cost
from coordinator_core.competition.terms import MoneyTerms, Terms
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.transaction import fee_for_weight
from coordinator_core.units import DUST_P2TR, FeeRate, Sats, Weight


class UneconomicOutput(Refused):
    """An output of the contract would be dust."""

    code = "competition.amounts.dust"


@dataclass(frozen=True, slots=True)
class Prize:
    """What a place wins: `gross` of the pool, `net` of it over Lightning after the routing allowance."""

    gross: Sats
    net: Sats

    @property
    def routing_allowance(self) -> Sats:
        """What routing may take; the unused part is the coordinator's."""
        return Sats(self.gross - self.net)


@dataclass(frozen=True, slots=True)
class OnChainShares:
    """Values of contract outputs at one fee rate; `ranked[i]` is the least that place i gets on chain."""

    funding_value: Sats
    outcome_value: Sats
    ranked: tuple[Sats, ...]
    refund: Sats
    expiry: Sats


def pool(entries: int, entry_fee: Sats) -> Sats:
    """n entry fees."""
    return Sats(entries * entry_fee)


def gross_prizes(amount: Sats, weights: Sequence[int]) -> tuple[Sats, ...]:
    """The pool by ratio weights: floor for each place, the remainder to the first. Raises InvalidInput."""
    if not weights or min(weights) < 1 or amount < 0:
        raise InvalidInput("weights", "not a list of positive ratios", "at least one weight, each 1 or more")
    total = sum(weights)
    later = [amount * weight // total for weight in weights[1:]]
    return (Sats(amount - sum(later)), *map(Sats, later))


def routing_allowance(money: MoneyTerms, gross: Sats) -> Sats:
    """Base and ppm of the gross prize, the ppm part rounded down."""
    return Sats(money.routing_allowance_base + gross * money.routing_allowance_ppm // 1_000_000)


def prizes(terms: Terms, entries: int) -> tuple[Prize, ...]:
    """The prize of each place. Raises Refused if an allowance leaves nothing of a prize."""
    return prizes_of(terms.money, pool(entries, terms.money.entry_fee))


def prizes_of(money: MoneyTerms, amount: Sats) -> tuple[Prize, ...]:
    """The prizes of a pool of `amount`. Raises Refused if an allowance leaves nothing of a prize."""
    listed: list[Prize] = []
    for gross in gross_prizes(amount, money.weights):
        net = gross - routing_allowance(money, gross)
        if net < 1:
            raise Refused("terms.money.routing_allowance_base", f"leaves nothing of a prize of {gross} sat", "lower it")
        listed.append(Prize(gross=gross, net=Sats(net)))
    return tuple(listed)


def refunds(terms: Terms, entries: int) -> tuple[Sats, ...]:
    """What each entry gets over Lightning at refund-all and at expiry: its entry fee, without any
    allowance.
    """
    return (terms.money.entry_fee,) * entries


def funding_value(terms: Terms, entries: int, rate: FeeRate) -> Sats:
    """Pool, outcome fee, split fee of the ranked outcomes, both anchors."""
    surplus = chain_cost(ContractShape(entries, terms.places), rate).contract_surplus
    return Sats(pool(entries, terms.money.entry_fee) + surplus)


def on_chain_shares(terms: Terms, entries: int, rate: FeeRate) -> OnChainShares:
    """The contract's output values at `rate`. Raises UneconomicOutput if one of them is dust."""
    return shares_of(terms.money.weights, pool(entries, terms.money.entry_fee), entries, rate)


def shares_of(weights: Sequence[int], amount: Sats, entries: int, rate: FeeRate) -> OnChainShares:
    """Output values of a contract over a pool of `amount`. Raises UneconomicOutput if one of them is dust.

    On refund-all and expiry the larger split fee comes out of the shares. A split takes the anchor off before
    the weights and shares only the fee equally (dlctix 0.2 section 3).
    """
    shape = ContractShape(entries, len(weights))
    cost = chain_cost(shape, rate)
    outcome = amount + cost.split_fee + shape.anchor
    available = outcome - shape.anchor

    def share(weight: int, total: int, winners: int, split: Weight) -> Sats:
        value = available * weight // total - fee_for_weight(rate, split) // winners
        if value <= DUST_P2TR:
            raise UneconomicOutput(
                "terms.money.entry_fee",
                f"an output of {value} sat at {rate} sat/kWU is dust",
                "raise the entry fee",
            )
        return Sats(value)

    total = sum(weights)
    return OnChainShares(
        funding_value=Sats(amount + cost.contract_surplus),
        outcome_value=Sats(outcome),
        ranked=tuple(share(weight, total, len(weights), shape.ranked_split_weight()) for weight in weights),
        refund=share(1, entries, entries, shape.refund_split_weight()),
        expiry=share(1, entries, entries, shape.expiry_split_weight()),
    )
