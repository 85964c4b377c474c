"""What a ticket costs and what can be won: three lines and a sum; Lightning prize and least amount on chain."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions.paid_out import pinned_of
from coordinator.domain.competitions.states import CollectingEntries, Competition
from coordinator.domain.facts import Ticket
from coordinator.domain.lane import Lane
from coordinator.engine.new_money import NewMoney, Pause
from coordinator.views.moments import moment
from coordinator.views.rosters import roster_of
from coordinator.views.words import DEPENDENCIES, sats
from coordinator_core.competition.amounts import on_chain_shares, prizes
from coordinator_core.competition.fees import coordinator_fee, network_fee
from coordinator_core.competition.terms import Terms
from coordinator_core.units import FeeRate


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of a price."""

    label: str
    amount: str
    note: str


@dataclass(frozen=True, slots=True)
class Price:
    """Three lines and their sum; `pause` says why no ticket is sold now."""

    lines: tuple[PriceLine, ...]
    total: str
    pause: str | None


@dataclass(frozen=True, slots=True)
class PrizeLine:
    """What a place gets."""

    place: str
    share: str
    lightning: str
    chain: str


@dataclass(frozen=True, slots=True)
class Prizes:
    """Prizes of a number of players, and what everyone gets when the oracle refunds or stays silent."""

    players: int
    frozen: bool
    pool: str
    lines: tuple[PrizeLine, ...]
    refund: PrizeLine


def price(state: Competition, lane: Lane, money: NewMoney) -> Price:
    """The price of a ticket: today's while tickets are sold, with what speaks against it, else as paid."""
    if isinstance(state, CollectingEntries):
        return _offered(lane, money)
    tickets = [lane.facts.get(Ticket, entry_id) for entry_id in roster_of(state, lane)]
    fees = sorted(ticket.network_fee for ticket in tickets if ticket is not None)
    if not fees:
        limit = network_fee(lane.terms, lane.terms.contract.fee_rate_ceiling)
        return _price(lane.terms, (0, limit), "was fixed at each reservation", upper_only=True)
    return _price(lane.terms, (fees[0], fees[-1]), "as fixed at each reservation")


def _offered(lane: Lane, money: NewMoney) -> Price:
    terms = lane.terms
    if pauses := money.pauses(terms):
        return _paused(terms, "; ".join(_why(pause, lane) for pause in pauses))
    lines = money.price(terms)
    return _price(terms, (lines.network_fee, lines.network_fee), "your share of the chain fees, fixed when you reserve")


def _why(pause: Pause, lane: Lane) -> str:
    if pause.since is None:
        return pause.reason
    return f"{DEPENDENCIES[pause.dependency]} {pause.reason}, since {moment(pause.since, lane.world.wall).text}"


def _paused(terms: Terms, reason: str) -> Price:
    limit = network_fee(terms, terms.contract.fee_rate_ceiling)
    made = _price(terms, (0, limit), "fixed when you reserve", upper_only=True)
    return Price(made.lines, made.total, f"No ticket is sold now: {reason}.")


def _price(terms: Terms, network: tuple[int, int], note: str, *, upper_only: bool = False) -> Price:
    entry, own = terms.money.entry_fee, coordinator_fee(terms)
    least, most = network

    def amount(base: int) -> str:
        if upper_only:
            return f"at most {sats(base + most)}"
        return sats(base + most) if least == most else f"{sats(base + least)} to {sats(base + most)}"

    percent = f"{terms.money.coordinator_fee_bps / 100:.2f}\N{NO-BREAK SPACE}% of the entry fee"
    lines = (
        PriceLine("Entry fee", sats(entry), "goes into the pool of prizes"),
        PriceLine("Coordinator fee", sats(own), percent),
        PriceLine("Network fee", amount(0), note),
    )
    return Price(lines, amount(entry + own), None)


def prize_table(state: Competition, lane: Lane) -> Prizes:
    """Prizes of the frozen roster; before it is frozen of the players so far, at least of the minimum."""
    terms = lane.terms
    roster, frozen = roster_of(state, lane), getattr(state, "roster", None) is not None
    players = max(len(roster), terms.entries.minimum)
    pin = pinned_of(state, lane)
    rate = terms.contract.fee_rate_ceiling if pin is None else FeeRate(pin.fee_rate)
    shares = on_chain_shares(terms, players, rate)
    weights = terms.money.weights
    lines = tuple(
        PrizeLine(ordinal(i), _percent(weight, sum(weights)), sats(prize.net), sats(chain))
        for i, (weight, prize, chain) in enumerate(
            zip(weights, prizes(terms, players), shares.ranked, strict=True), start=1
        )
    )
    back = PrizeLine("Everyone", "", sats(terms.money.entry_fee), sats(min(shares.refund, shares.expiry)))
    return Prizes(players, frozen or pin is not None, sats(players * terms.money.entry_fee), lines, back)


def ordinal(place: int) -> str:
    """1st to 5th: the terms allow no more places."""
    return f"{place}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(place, 'th') }"


def _percent(weight: int, total: int) -> str:
    return f"{100 * weight / total:.4g}\N{NO-BREAK SPACE}%"
