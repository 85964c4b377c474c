"""How large, how dear, how late: what an operator sees before publishing (money section 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from coordinator_core.competition.amounts import (
    OnChainShares,
    Prize,
    on_chain_shares,
    pool,
    prizes,
    prizes_of,
    shares_of,
)
from coordinator_core.competition.chain_cost import ContractShape, chain_cost
from coordinator_core.competition.closing import (
    MAX_SESSIONS,
    MAX_SUBSETS,
    batch_count,
    max_signing_sessions,
)
from coordinator_core.competition.fees import PAUSE_SHARE, coordinator_fee, network_fee
from coordinator_core.competition.schedule import check_creation, date_of, end_of_closing
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc.relay import least_fee_rate
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.transaction import fee_for_weight, input_weight, predict_weight
from coordinator_core.transaction.weight import P2TR_SCRIPT_BYTES, SCHNORR_SIGNATURE_BYTES
from coordinator_core.units import DUST_P2TR, MAX_MONEY, Blocks, FeeRate, Height, Sats, UnixTime

T = TypeVar("T")

MAX_OUTCOMES: Final = 15_000
_FIRST_HOP: Final = 83
"""Blocks that the last router and the payee's node ask for."""
_PER_ROUTER: Final = 80
_CLAIM_MARGIN: Final = 13
_DAY: Final = Blocks(144)
_RELAY_FLOOR: Final = FeeRate(250)
"""1 sat/vB: what nodes relay by default."""
SWEEP_WEIGHT: Final = predict_weight([input_weight((SCHNORR_SIGNATURE_BYTES, 32, 74, 97))], [P2TR_SCRIPT_BYTES])
"""The heaviest spend of a winner's output, its `win`: preimage, a script of 74 bytes at depth 2."""
LEAST_SHARE: Final = Sats(DUST_P2TR + fee_for_weight(least_fee_rate(_RELAY_FLOOR), SWEEP_WEIGHT))
"""A share of less is worth nobody's sweep even while blocks are empty: it could only be left where it is."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why these terms cannot be published. `field` is what to change, `fix` how."""

    field: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A contract of `entries` players at the fee rate ceiling; amounts in sat. None: not possible, see
    objections.
    """

    entries: int
    outcomes: int
    signing_items: int
    batches: int
    signing_sessions: int
    winner_sets: int
    pool: Sats
    prizes: tuple[Prize, ...] | None
    chain_cost: Sats
    network_fees: Sats
    shares: OnChainShares | None


@dataclass(frozen=True, slots=True)
class Budget:
    """One row for each number of entries, and what holds for all of them.

    `minimum_entry_fee` is the least at which every output pays for its own sweep and no prize is eaten up at the
    ceiling; `unpaused_entry_fee` the least at which tickets would still be sold at the ceiling; `route_reach` how many
    routers a payout can pass for a day after the outcome.
    """

    rows: tuple[BudgetRow, ...]
    coordinator_fee: Sats
    minimum_entry_fee: Sats
    unpaused_entry_fee: Sats
    route_reach: int
    closing_ends: UnixTime
    funding_deadline: Height
    funding_date: UnixTime
    objections: tuple[Objection, ...]

    def require(self) -> None:
        """Raise Refused with the first objection, if there is one."""
        if self.objections:
            first = self.objections[0]
            raise Refused(first.field, first.reason, first.fix)


def budget(terms: Terms, tip: Height, now: UnixTime, cancel_delta: Blocks) -> Budget:
    """The budget of terms that are about to be published at height `tip` and domain time `now`."""
    rows = tuple(_row(terms, n) for n in range(terms.entries.minimum, terms.entries.maximum + 1))
    least = _minimum_entry_fee(terms)
    return Budget(
        rows=rows,
        coordinator_fee=coordinator_fee(terms),
        minimum_entry_fee=least,
        unpaused_entry_fee=Sats(network_fee(terms, terms.contract.fee_rate_ceiling) * PAUSE_SHARE),
        route_reach=route_reach(terms.contract.delta),
        closing_ends=end_of_closing(terms.schedule),
        funding_deadline=terms.schedule.funding_deadline,
        funding_date=date_of(terms.schedule.funding_deadline, tip, now),
        objections=(
            *(objection for row in rows for objection in _size_objections(row)),
            *_fee_objections(terms, least),
            *_schedule_objections(lambda: check_creation(terms, tip, now, cancel_delta)),
        ),
    )


def route_reach(delta: Blocks, waited: Blocks = _DAY) -> int:
    """Routers r that a payout passes `waited` blocks after the outcome: 83 + 80 r <= 2 delta - 13 -
    waited; at least 0.

    83 blocks are for the ends of the route, 80 for each router, 13 before the winner's own claim on chain.
    """
    return max(0, (2 * delta - _CLAIM_MARGIN - waited - _FIRST_HOP) // _PER_ROUTER)


def _row(terms: Terms, entries: int) -> BudgetRow:
    ceiling = terms.contract.fee_rate_ceiling
    shape = ContractShape(entries, terms.places)
    batches = batch_count(shape)
    return BudgetRow(
        entries=entries,
        outcomes=shape.attested_outcomes,
        signing_items=shape.signing_items,
        batches=batches,
        signing_sessions=max_signing_sessions(batches),
        winner_sets=shape.winner_sets,
        pool=pool(entries, terms.money.entry_fee),
        prizes=_possible(lambda: prizes(terms, entries)),
        chain_cost=chain_cost(shape, ceiling).total,
        network_fees=Sats(entries * network_fee(terms, ceiling)),
        shares=_possible(lambda: on_chain_shares(terms, entries, ceiling)),
    )


def _possible(compute: Callable[[], T]) -> T | None:
    try:
        return compute()
    except Refused:
        return None


def _size_objections(row: BudgetRow) -> Iterator[Objection]:
    limits = (
        ("outcomes", row.outcomes, MAX_OUTCOMES),
        ("sets of winners", row.winner_sets, MAX_SUBSETS),
        ("signing sessions", row.signing_sessions, MAX_SESSIONS),
    )
    for what, count, limit in limits:
        if count > limit:
            yield Objection(
                "terms.entries.maximum",
                f"{row.entries} entries make {count} {what}, more than {limit}",
                "fewer entries or places",
            )


def _fee_objections(terms: Terms, least: Sats) -> Iterator[Objection]:
    if terms.money.entry_fee < least:
        yield Objection(
            "terms.money.entry_fee",
            f"at {terms.contract.fee_rate_ceiling} sat/kWU an output would be below {LEAST_SHARE} sat, too little to be"
            " swept, or a prize nothing",
            f"at least {least} sat, or a lower fee_rate_ceiling",
        )


def _schedule_objections(check: Callable[[], None]) -> Iterator[Objection]:
    try:
        check()
    except InvalidInput as problem:
        yield Objection(problem.field, problem.reason, problem.fix)


def _minimum_entry_fee(terms: Terms) -> Sats:
    """Bisection: every share and every prize grows with the entry fee. 21 million bitcoin if none is
    enough.
    """
    low, high = 0, int(MAX_MONEY)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(terms, Sats(middle)) else (middle, high)
    return Sats(high)


def _is_enough(terms: Terms, entry_fee: Sats) -> bool:
    money, ceiling = terms.money, terms.contract.fee_rate_ceiling
    try:
        for entries in range(terms.entries.minimum, terms.entries.maximum + 1):
            amount = pool(entries, entry_fee)
            prizes_of(money, amount)
            shares = shares_of(money.weights, amount, entries, ceiling)
            if min(*shares.ranked, shares.refund, shares.expiry) < LEAST_SHARE:
                return False
    except Refused:
        return False
    return True
